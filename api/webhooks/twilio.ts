import { AppError } from '../../domain/errors';
import { publicUrl } from '../../lib/publicUrl';
import { readInboundMessage, readStatusCallback } from '../../providers/twilio/events';
import {
  isSignedByTwilio,
  parametersOf,
  signatureHeader,
  type CallbackParameters,
} from '../../providers/twilio/signature';
import { bytes } from '../bodies';
import type { ApiContext } from '../context';
import type { ApiDeps } from '../deps';
import { ignoredQuery } from '../parameters';
import { publicRoute, rawAnswer, rawReply } from '../route';
import { accountParams, invalidSignature, webhookAccount, type AccountAt } from './accounts';
import { countSkipped, takeEvent, takeInbound } from './intake';

// The longest there is holds a message of 1,600 characters and the addresses of ten files.
const limitBytes = 128 * 1024;

const shared = {
  root: true,
  tags: ['webhooks'],
  params: accountParams,
  // Ours, and covered by the signature as it came.
  query: ignoredQuery,
  body: bytes({ types: ['application/x-www-form-urlencoded'], limitBytes }),
  answers: { 200: rawAnswer('text/xml') },
  problems: ['invalidSignature', 'malformedForm', 'webhookNotConfigured'],
} as const;

const receiveStatus = publicRoute({
  ...shared,
  method: 'post',
  path: '/webhooks/twilio/:accountId/status',
  name: 'receiveTwilioStatus',
  summary: 'Take a signed status callback from Twilio',
  description:
    'Verified by its signature over the public address and the fields, stored, answered; one that comes again stores nothing.',
  async handler({ params: { accountId }, body, context, deps }) {
    const { account, url, parameters } = await authenticate({ deps, context, accountId, body });
    const event = readStatusCallback({ url, parameters, receivedAt: new Date() });
    if (event === 'unreadable') {
      throw malformedForm(
        'MessageSid and MessageStatus have to say which message, and what of it.',
      );
    }
    if (typeof event === 'string') {
      countSkipped(deps, 'twilio', { [event]: 1 });
    } else {
      await takeEvent(deps, { vendor: 'twilio', account, event });
    }
    return rawReply(200, noAnswer);
  },
});

const receiveInbound = publicRoute({
  ...shared,
  method: 'post',
  path: '/webhooks/twilio/:accountId/inbound',
  name: 'receiveTwilioInbound',
  summary: 'Take what a customer wrote to a number at Twilio',
  description:
    'STOP suppresses the number on its channel and withdraws the consent, START takes a STOP back. The text is not kept.',
  async handler({ params: { accountId }, body, context, deps }) {
    const { account, parameters } = await authenticate({ deps, context, accountId, body });
    const message = readInboundMessage(parameters);
    if (message === null) {
      throw malformedForm('MessageSid, From and To have to say which message, and whose.');
    }
    const { channel, from, to, providerMessageId, optOut, writtenAt } = message;
    const wish = { wish: optOut, writtenAt: writtenAt ?? new Date() };
    await takeInbound(deps, {
      vendor: 'twilio',
      account,
      notes: [{ channel, from, to, providerMessageId, ...wish }],
    });
    return rawReply(200, noAnswer);
  },
});

export const twilioWebhookRoutes = [receiveStatus, receiveInbound];

// The vendor answers STOP, START and HELP itself: a text here would be a second answer.
const noAnswer = '<?xml version="1.0" encoding="UTF-8"?><Response/>';

/** What the account signed: where it was posted to, in public, and the fields. */
async function authenticate(request: {
  deps: ApiDeps;
  context: ApiContext;
  accountId: string;
  body: Buffer;
}): Promise<{
  account: AccountAt<'twilio'>;
  url: string;
  parameters: CallbackParameters;
}> {
  const { deps, context, accountId, body } = request;
  const account = await webhookAccount(deps, { id: accountId, vendor: 'twilio' });
  const parameters = parametersOf(body);
  const signed = {
    signature: context.get(signatureHeader),
    url: publicUrl(deps.config) + context.originalUrl,
    parameters,
  };
  if (account === null || !isSignedByTwilio(account.opened.credentials.authToken, signed)) {
    throw invalidSignature();
  }
  return { account, url: signed.url, parameters };
}

function malformedForm(message: string): AppError {
  return new AppError('malformed', 'malformedForm', message);
}
