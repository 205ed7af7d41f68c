import { isSignedBySendGrid } from '../../../providers/email/sendgridSignature';

// The vendor's own test vector, from the tests of @sendgrid/eventwebhook.
const publicKey =
  'MFkwEwYHKoZIzj0CAQYIKoZIzj0DAQcDQgAE83T4O/n84iotIvIW4mdBgQ/7dAfSmpqIM8kF9mN1flpVKS3GRqe62gw+2fNNRaINXvVpiglSI8eNEc6wEA3F+g==';
const signature =
  'MEUCIGHQVtGj+Y3LkG9fLcxf3qfI10QysgDWmMOVmxG0u6ZUAiEAyBiXDWzM+uOe5W0JuG+luQAbPIqHh89M15TluLtEZtM=';
const timestamp = '1600112502';
const text = `${JSON.stringify([
  {
    email: 'hello@world.com',
    event: 'dropped',
    reason: 'Bounced Address',
    sg_event_id: 'ZHJvcC0xMDk5NDkxOS1MUnpYbF9OSFN0T0doUTRrb2ZTbV9BLTA',
    sg_message_id: 'LRzXl_NHStOGhQ4kofSm_A.filterdrecv-p3mdw1-756b745b58-kmzbl-18-5F5FC76C-9.0',
    'smtp-id': '<LRzXl_NHStOGhQ4kofSm_A@ismtpd0039p1iad1.sendgrid.net>',
    timestamp: 1600112492,
  },
])}\r\n`;
const body = Buffer.from(text);

test('takes what the vendor signed', () => {
  expect(isSignedBySendGrid(publicKey, { signature, timestamp, body })).toBe(true);
});

test.each([
  ['another timestamp', { timestamp: '1600112503' }],
  ['a moved digit', { timestamp: '16001125021' }],
  ['a body without its line end', { body: Buffer.from(text.trimEnd()) }],
  ['a changed body', { body: Buffer.from(text.replace('dropped', 'Dropped')) }],
  ['no signature', { signature: '' }],
  ['a signature cut short', { signature: signature.slice(0, 40) }],
  ['a signature that is none', { signature: 'AAAA' }],
  ['a raw signature in place of DER', { signature: Buffer.alloc(64, 7).toString('base64') }],
])('refuses %s', (_name, change) => {
  expect(isSignedBySendGrid(publicKey, { signature, timestamp, body, ...change })).toBe(false);
});

test('a key that is no key has signed nothing', () => {
  expect(isSignedBySendGrid('AAAA', { signature, timestamp, body })).toBe(false);
  expect(isSignedBySendGrid('AAAA', { signature, timestamp, body })).toBe(false);
});
