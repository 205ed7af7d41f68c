import { createHmac, createPrivateKey, sign } from 'node:crypto';
import twilio from 'twilio';
import { DEMO_META_ACCOUNT, DEMO_TWILIO_ACCOUNT } from '../../sandbox';
import { signatureHeader as metaHeader } from '../../providers/meta/signature';
import {
  signatureHeader as sendGridHeader,
  timestampHeader,
} from '../../providers/email/sendgridSignature';
import { parametersOf, signatureHeader as twilioHeader } from '../../providers/twilio/signature';

export interface Unsigned {
  /** The whole address it is posted to. */
  url: string;
  body: Buffer;
}

/** Whose key signs what is posted to a path; the platform has one of its own. */
export interface Signer {
  platformKeyPem: string;
  accountKeyPem: string;
}

/** The headers by which a vendor would have signed it; none for what no vendor posts. */
export function signed({ url, body }: Unsigned, signer: Signer): Record<string, string> {
  const [, , vendor = '', account] = new URL(url).pathname.split('/');
  switch (vendor) {
    case 'meta': {
      const digest = createHmac('sha256', DEMO_META_ACCOUNT.appSecret).update(body).digest('hex');
      return { [metaHeader]: `sha256=${digest}` };
    }
    case 'twilio': {
      const { authToken } = DEMO_TWILIO_ACCOUNT;
      const fields = { ...parametersOf(body) };
      return { [twilioHeader]: twilio.getExpectedTwilioSignature(authToken, url, fields) };
    }
    case 'sendgrid': {
      const pem = account === undefined ? signer.platformKeyPem : signer.accountKeyPem;
      const timestamp = String(Math.floor(Date.now() / 1000));
      const text = Buffer.concat([Buffer.from(timestamp), body]);
      const signature = sign('sha256', text, createPrivateKey(pem)).toString('base64');
      return { [sendGridHeader]: signature, [timestampHeader]: timestamp };
    }
    default:
      return {};
  }
}
