import { templateMessage } from '../support/campaigns';
import type { BadCase } from './badInput.cases';

const invalid = { status: 422, code: 'validationFailed' } as const;

const campaign = (channel: unknown, what: string, content: unknown, field: string): BadCase => ({
  what: `a campaign by ${String(channel)} with ${what}`,
  request: ({ token }) => ({
    method: 'post',
    path: '/api/v1/campaigns',
    token,
    json: { name: 'Spring sale', channel, content },
  }),
  ...invalid,
  field,
});

const sms = (what: string, content: unknown, field: string): BadCase =>
  campaign('sms', what, content, field);

const whatsApp = (what: string, message: unknown, field: string): BadCase =>
  campaign('whatsapp', what, { message }, field);

const media = (what: string, url: unknown): BadCase =>
  whatsApp(what, { kind: 'media', url }, 'content.message.url');

const variables = (what: string, given: unknown, field: string): BadCase =>
  whatsApp(what, templateMessage({ variables: given }), `content.message.variables${field}`);

const test = (what: string, to: unknown, field: string): BadCase => ({
  what: `a test of mail to ${what}`,
  request: ({ token, campaignId }) => ({
    method: 'post',
    path: `/api/v1/campaigns/${campaignId}/test-send`,
    token,
    json: { to },
  }),
  ...invalid,
  field,
});

const mail = { fromEmail: 'shop@example.com', subject: 'Hello', html: '<p>Hello</p>' };

const suppression = (what: string, json: object, field: string): BadCase => ({
  what: `a suppression of ${what}`,
  request: ({ token }) => ({ method: 'post', path: '/api/v1/suppressions', token, json }),
  ...invalid,
  field,
});

const consent = (what: string, given: unknown, field: string): BadCase => ({
  what: `a customer with ${what}`,
  request: ({ token }) => ({
    method: 'post',
    path: '/api/v1/customers',
    token,
    json: { phone: '+4930123456', consent: given },
  }),
  ...invalid,
  field,
});

/** Wrong requests about what is not mail. */
export const channelCases: BadCase[] = [
  campaign('fax', 'what no channel takes', { body: 'Hi' }, 'channel'),
  campaign(null, 'a channel of null', { body: 'Hi' }, 'channel'),
  campaign(['sms'], 'a list of channels', { body: 'Hi' }, 'channel'),
  campaign('email', 'a text', { body: 'Hi' }, 'content.html'),
  campaign('email', 'a sender of texts', { ...mail, sender: 'BELLS' }, 'content.sender'),
  sms('a mail', mail, 'content.body'),
  sms('no body', {}, 'content.body'),
  sms('a number for a body', { body: 7 }, 'content.body'),
  sms('a blank body', { body: ' \n' }, 'content.body'),
  sms('a NUL', { body: 'a\0b' }, 'content.body'),
  sms('half a surrogate pair', { body: 'a\ud83c' }, 'content.body'),
  sms('a field that does not exist', { body: '{{ customer.shoe }}' }, 'content.body'),
  sms('Liquid that does not end', { body: '{% if customer.email %}Hi' }, 'content.body'),
  sms('more than a text may have', { body: 'x'.repeat(1_601) }, 'content.body'),
  sms('a megabyte', { body: ' '.repeat(500_000) }, 'content.body'),
  sms('a sender that is too long', { body: 'Hi', sender: 'BELLS AND WHISTLES' }, 'content.sender'),
  sms('a sender with a line break', { body: 'Hi', sender: 'A\nB' }, 'content.sender'),
  sms('digits for a sender', { body: 'Hi', sender: '12345' }, 'content.sender'),
  sms('a subject', { body: 'Hi', subject: 'Hello' }, 'content.subject'),
  campaign('whatsapp', 'no message', {}, 'content.message'),
  campaign('whatsapp', 'a text for a message', { message: 'Hi' }, 'content.message'),
  campaign(
    'whatsapp',
    'a name for a sender',
    { message: templateMessage(), sender: 'BELLS' },
    'content.sender',
  ),
  whatsApp('an unknown kind', { kind: 'sticker' }, 'content.message.kind'),
  whatsApp('no kind', { body: 'Hi' }, 'content.message.kind'),
  whatsApp('an empty text', { kind: 'text', body: '' }, 'content.message.body'),
  whatsApp('a text too long', { kind: 'text', body: 'x'.repeat(1_601) }, 'content.message.body'),
  whatsApp('a template without an id', templateMessage({ id: '' }), 'content.message.id'),
  whatsApp('an id with a line break', templateMessage({ id: 'a\nb' }), 'content.message.id'),
  whatsApp(
    'a language of words',
    templateMessage({ language: 'English' }),
    'content.message.language',
  ),
  variables('51 variables', variablesOf(51), ''),
  variables('a list of variables', ['Ana'], ''),
  variables('a number for a variable', { '1': 7 }, '.1'),
  variables('a blank variable', { '1': ' ' }, '.1'),
  variables('a name with a dot', { 'a.b': 'Hi' }, '.a.b'),
  variables('a field that does not exist', { '1': '{{ customer.shoe }}' }, '.1'),
  media('no address', undefined),
  media('a relative address', '/a.png'),
  media('an address without TLS', 'http://shop.example/a.png'),
  media('a script', 'javascript:alert(1)'),
  media('a file of ours', 'file:///etc/passwd'),
  media('a password in the address', 'https://a:b@shop.example/a.png'),
  media('Liquid in the address', 'https://shop.example/{{ customer.email }}.png'),
  media('a name of our own network', 'https://localhost/a.png'),
  whatsApp(
    'a caption too long',
    { kind: 'media', url: 'https://shop.example/a.png', caption: 'x'.repeat(1_025) },
    'content.message.caption',
  ),
  test('a phone', ['+4930123456'], 'to.0'),
  test('a second address that is none', ['a@example.com', 'b@'], 'to.1'),
  test('an empty text', [''], 'to.0'),
  suppression('an unknown channel', { channel: 'fax', address: '+4930123456' }, 'channel'),
  suppression('a number by mail', { address: '+4930123456' }, 'address'),
  suppression('an address by text', { channel: 'sms', address: 'a@example.com' }, 'address'),
  suppression('a local number', { channel: 'whatsapp', address: '030 123456' }, 'address'),
  suppression(
    'a number without end',
    { channel: 'sms', address: `+${'1'.repeat(400)}` },
    'address',
  ),
  suppression('nobody', { channel: 'sms' }, 'address'),
  consent('a consent that is none', { sms: { status: 'maybe' } }, 'consent.sms.status'),
  consent('a consent without a status', { whatsapp: {} }, 'consent.whatsapp.status'),
  consent('a consent for fax', { fax: { status: 'granted' } }, 'consent.fax'),
  consent(
    'a consent of the year 3000',
    { sms: { status: 'granted', at: '3000-01-01T00:00:00Z' } },
    'consent.sms.at',
  ),
];

function variablesOf(count: number): Record<string, string> {
  return Object.fromEntries(Array.from({ length: count }, (_, n) => [`${n + 1}`, 'Hi']));
}
