import type { OpenedAccount } from '../../domain/messages/accounts/types';
import { secretsOf, withoutSecrets } from '../../providers/withoutSecrets';

const base64 = (text: string) => Buffer.from(text).toString('base64');
const accounts: Record<string, OpenedAccount> = {
  sendgrid: {
    vendor: 'sendgrid',
    settings: { region: 'global' },
    credentials: { apiKey: 'SG.first.second' },
  },
  smtp: {
    vendor: 'smtp',
    settings: { host: 'mail.example.com', port: 587, security: 'starttls' },
    credentials: { username: 'mailer@example.com', password: 'pass word/1' },
  },
  twilio: {
    vendor: 'twilio',
    settings: { accountSid: 'AC1' },
    credentials: { authToken: 'token-of-twilio' },
  },
  meta: {
    vendor: 'meta',
    settings: { phoneNumberId: '10654', businessAccountId: '10229' },
    credentials: { accessToken: 'EAAtoken', appSecret: 'app-secret', verifyToken: 'verify-token' },
  },
};

test.each([
  ['sendgrid', 'the key SG.first.second is wrong', 'the key [secret] is wrong'],
  ['smtp', 'no pass word/1 of mailer@example.com', 'no [secret] of [secret]'],
  ['smtp', `AUTH PLAIN ${base64('\0mailer@example.com\0pass word/1')}`, 'AUTH PLAIN [secret]'],
  ['smtp', `334 ${base64('pass word/1')}`, '334 [secret]'],
  ['smtp', 'GET /?p=pass%20word%2F1', 'GET /?p=[secret]'],
  ['twilio', `Basic ${base64('AC1:token-of-twilio')}`, 'Basic [secret]'],
  ['meta', 'EAAtoken, app-secret, verify-token', '[secret], [secret], [secret]'],
  ['meta', 'nothing of ours', 'nothing of ours'],
])('%s: %s', (vendor, said, kept) => {
  const account = accounts[vendor];
  expect(withoutSecrets(said, account === undefined ? [] : secretsOf(account))).toBe(kept);
});

test('takes out a secret that was cut off at the end', () => {
  const secrets = ['SG.first.second'];
  for (let length = 6; length <= 15; length += 1) {
    expect(withoutSecrets(`bad: ${'SG.first.second'.slice(0, length)}`, secrets)).toBe(
      'bad: [secret]',
    );
  }
});
