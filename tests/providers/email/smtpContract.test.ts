import { createSmtp } from '../../../providers/email/smtp';
import { describeContract } from '../contract';
import { oneEmail, smtpOptions } from './smtpSupport';

describeContract({
  name: 'Email by SMTP',
  connect({ sandbox, port, timeoutMs }) {
    const provider = createSmtp({
      ...smtpOptions(port ?? sandbox.smtp?.port ?? 0),
      maxConnections: 8,
      timeoutMs,
    });
    return {
      send: (email, reference) => provider.send(oneEmail({ to: { email, name: null }, reference })),
      close: () => provider.close(),
    };
  },
  recipient: (n) => `ana.${n}@example.com`,
  acceptedStatus: 250,
  refusals: [
    {
      name: 'a mailbox that does not exist',
      to: 'ana+bounce@example.com',
      expected: { kind: 'recipientRefused', consequence: 'addressInvalid', status: 550 },
    },
    {
      name: 'a mailbox that is disabled',
      to: 'ana+disabled@example.com',
      expected: { kind: 'recipientRefused', consequence: 'suppress', status: 550 },
    },
    {
      name: 'a mailbox that is full',
      to: 'ana+full@example.com',
      expected: { kind: 'recipientRefused', consequence: 'none', status: 552 },
    },
    {
      name: 'an address that is none',
      to: 'ana at example.com',
      expected: { kind: 'recipientRefused', consequence: 'addressInvalid' },
    },
    {
      name: 'content that is not wanted',
      to: 'ana+spam@example.com',
      expected: { kind: 'messageRefused', status: 554 },
    },
    {
      name: 'a server that fails before it takes the message',
      faults: { rate5xx: 1 },
      expected: { kind: 'notSent', status: 451, retryAfterMs: 60_000 },
    },
  ],
  throttling: [
    { name: 'too many messages', faults: { rate429: 1 }, status: 421, retryAfterMs: 10_000 },
  ],
  doubts: [
    { name: 'accepted, the answer lost', faults: { dropAfterAccept: 1 }, delivered: 1 },
    { name: 'lost after the end of the message', faults: { dropBeforeAccept: 1 }, delivered: 0 },
  ],
});
