import type { TwilioAccount } from '../twilio/account';
import { createTwilioMessages } from '../twilio/messages';
import type { SmsProvider } from './types';

/** SMS by Twilio. What its look-up can and cannot prove: `TwilioMessages.lookUp`. */
export function createTwilioSms(account: TwilioAccount): SmsProvider {
  const messages = createTwilioMessages(account);
  return {
    accountId: account.accountId,
    send: ({ to, sender, body, reference, statusCallbackUrl, validForSeconds }) =>
      messages.send({
        to,
        sender,
        content: { body },
        reference,
        statusCallbackUrl,
        ...(validForSeconds === undefined ? {} : { validityPeriodS: validForSeconds }),
      }),
    lookUp: (search) => messages.lookUp(search),
    close: () => messages.close(),
  };
}
