import { createSmsProvider } from '../../providers/sms';
import type { TwilioAccount } from '../../providers/twilio/account';
import { createWhatsAppProvider } from '../../providers/whatsapp';
import { DEMO_META_ACCOUNT, DEMO_TWILIO_ACCOUNT } from '../../sandbox';
import { describeContract, type Target, type VendorEntry } from './contract';

const statusCallbackUrl = 'http://127.0.0.1:9/webhooks/twilio';

function twilioAccount({ sandbox, port, timeoutMs, wrongCredentials }: Target): TwilioAccount {
  const { accountSid, authToken } = DEMO_TWILIO_ACCOUNT;
  return {
    accountId: 'account-of-the-test',
    accountSid,
    credentials: { authToken: wrongCredentials ? 'another token' : authToken },
    baseUrl: port === undefined ? sandbox.url : `http://127.0.0.1:${port}`,
    timeoutMs,
  };
}

const twilio: Omit<VendorEntry, 'name' | 'connect'> = {
  recipient: (n) => `+49301234${String(n).padStart(4, '0')}`,
  acceptedStatus: 201,
  refusals: [
    {
      name: 'a recipient who opted out',
      to: '+15005550004',
      expected: { kind: 'recipientRefused', consequence: 'suppress', status: 400 },
    },
    {
      name: 'a number that is none',
      to: '+15005550001',
      expected: { kind: 'recipientRefused', consequence: 'addressInvalid', status: 400 },
    },
    {
      name: 'a number that gets no such messages',
      to: '+15005550009',
      expected: { kind: 'recipientRefused', consequence: 'addressInvalid' },
    },
    {
      name: 'a text of this recipient that is too long',
      to: '+15002161700',
      expected: { kind: 'recipientRefused', consequence: 'none' },
    },
    {
      name: 'a region that is not enabled',
      to: '+15005550003',
      expected: { kind: 'messageRefused', status: 400 },
    },
    {
      name: 'credentials that are not known',
      wrongCredentials: true,
      expected: { kind: 'messageRefused', status: 401 },
    },
    {
      name: 'a template that is wrong',
      faults: { refuse: { status: 400, errors: [{ message: 'invalid content', code: 63021 }] } },
      expected: { kind: 'messageRefused', status: 400, reason: '63021 invalid content' },
    },
    {
      name: 'an error nobody has heard of',
      faults: { refuse: { status: 422, errors: [{ message: 'new', code: 29_999 }] } },
      expected: { kind: 'messageRefused', status: 422 },
    },
  ],
  throttling: [
    {
      name: 'it says for how long',
      faults: { rate429: 1, retryAfterSeconds: 7 },
      status: 429,
      retryAfterMs: 7_000,
    },
    {
      name: 'it does not say for how long',
      faults: { rate429: 1 },
      status: 429,
      retryAfterMs: null,
    },
    {
      name: 'the channel is full',
      faults: { refuse: { status: 400, errors: [{ message: 'channel rate', code: 63_018 }] } },
      status: 400,
      retryAfterMs: null,
    },
    {
      name: 'the queue of the sender is full',
      faults: { refuse: { status: 400, errors: [{ message: 'queue full', code: 21_611 }] } },
      status: 400,
      retryAfterMs: 60_000,
    },
  ],
  doubts: [
    { name: 'accepted, the answer lost', faults: { dropAfterAccept: 1 }, delivered: 1 },
    { name: 'the connection lost before', faults: { dropBeforeAccept: 1 }, delivered: 0 },
    { name: 'a server error', faults: { rate5xx: 1 }, delivered: 0 },
    { name: 'a gateway’s error', faults: { rate5xx: 1, status5xx: 503 }, delivered: 0 },
    {
      name: 'a server error, accepted all the same',
      faults: { rate5xx: 1, acceptOn5xx: true },
      delivered: 1,
    },
  ],
};

const vendors: VendorEntry[] = [
  {
    ...twilio,
    name: 'SMS by Twilio',
    connect(target) {
      const provider = createSmsProvider({ vendor: 'twilio', ...twilioAccount(target) });
      return {
        send: (to, reference) =>
          provider.send({
            to,
            sender: { from: '+15005550006' },
            body: 'Your parcel is here',
            reference,
            statusCallbackUrl,
          }),
        close: () => provider.close(),
      };
    },
  },
  {
    ...twilio,
    name: 'WhatsApp by Twilio',
    connect(target) {
      const provider = createWhatsAppProvider({ vendor: 'twilio', ...twilioAccount(target) });
      return {
        send: (to, reference) =>
          provider.send({
            to,
            sender: { from: '+15005550006' },
            content: {
              kind: 'template',
              id: `HX${'1f'.repeat(16)}`,
              language: 'de',
              variables: { 1: 'Ana' },
            },
            reference,
            statusCallbackUrl,
          }),
        close: () => provider.close(),
      };
    },
  },
  {
    name: 'WhatsApp by Meta',
    recipient: (n) => `+49301234${String(n).padStart(4, '0')}`,
    acceptedStatus: 200,
    connect({ sandbox, port, timeoutMs, wrongCredentials }) {
      const { phoneNumberId, accessToken } = DEMO_META_ACCOUNT;
      const provider = createWhatsAppProvider({
        vendor: 'meta',
        accountId: 'account-of-the-test',
        phoneNumberId,
        accessToken: wrongCredentials ? 'another-token' : accessToken,
        baseUrl: port === undefined ? sandbox.url : `http://127.0.0.1:${port}`,
        timeoutMs,
      });
      return {
        send: (to, reference) =>
          provider.send({
            to,
            sender: { from: '+15005550006' },
            content: {
              kind: 'template',
              id: 'parcel_is_here',
              language: 'de',
              variables: { 1: 'Ana' },
            },
            reference,
            statusCallbackUrl: null,
          }),
        close: () => provider.close(),
      };
    },
    refusals: [
      {
        name: 'a recipient who wants no marketing',
        to: '+15001310500',
        expected: { kind: 'recipientRefused', consequence: 'suppress', status: 400 },
      },
      {
        name: 'a recipient who cannot be reached',
        to: '+15001310260',
        expected: { kind: 'recipientRefused', consequence: 'none', status: 400 },
      },
      {
        name: 'a recipient who has to write first',
        to: '+15001310470',
        expected: { kind: 'recipientRefused', consequence: 'none', status: 400 },
      },
      {
        name: 'a recipient who has had too much at once, and the account goes on',
        to: '+15001310560',
        expected: { kind: 'notSent', onlyRecipient: true, retryAfterMs: 6_000, status: 400 },
      },
      {
        name: 'a number of ours that is not registered',
        to: '+15001330100',
        expected: { kind: 'messageRefused', status: 400 },
      },
      {
        name: 'a permission that is missing, answered as if it were their fault',
        faults: { refuse: { status: 500, errors: [{ message: 'capability', code: 3 }] } },
        expected: { kind: 'messageRefused', status: 500, reason: '3 capability' },
      },
      {
        name: 'credentials that are not known',
        wrongCredentials: true,
        expected: { kind: 'messageRefused', status: 401 },
      },
      {
        name: 'a template that is paused',
        faults: { refuse: { status: 400, errors: [{ message: 'paused', code: 132_015 }] } },
        expected: { kind: 'messageRefused', status: 400, reason: '132015 paused' },
      },
      {
        name: 'an error nobody has heard of',
        faults: { refuse: { status: 422, errors: [{ message: 'new', code: 139_999 }] } },
        expected: { kind: 'messageRefused', status: 422 },
      },
    ],
    throttling: [
      {
        name: 'it says for how long',
        faults: { rate429: 1, retryAfterSeconds: 7 },
        status: 429,
        retryAfterMs: 7_000,
      },
      {
        name: 'it does not say for how long',
        faults: { rate429: 1 },
        status: 429,
        retryAfterMs: 1_000,
      },
      {
        name: 'the hour of the business account is used up',
        faults: { refuse: { status: 400, errors: [{ message: 'calls', code: 80_007 }] } },
        status: 400,
        retryAfterMs: 60_000,
      },
    ],
    doubts: [
      ...twilio.doubts,
      {
        name: 'an error they do not know the effect of, as a refusal',
        faults: { refuse: { status: 400, errors: [{ message: 'unknown', code: 1 }] } },
        delivered: 0,
      },
    ],
  },
];

for (const vendor of vendors) {
  describeContract(vendor);
}
