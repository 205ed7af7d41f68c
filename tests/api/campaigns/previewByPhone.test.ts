import { createCampaignWorkflows } from '../../../clients/campaigns';
import { newId } from '../../../lib/ids';
import { withTenant } from '../../../models/base';
import type { NewAccountValues } from '../../../models/messages/accountCredentials';
import { createProviderAccount, makeDefault } from '../../../models/messages/accounts';
import { DEMO_META_ACCOUNT, DEMO_TWILIO_ACCOUNT } from '../../../sandbox';
import { testSealing } from '../../support/accounts';
import { startTestApi, type TestApi } from '../../support/api';
import {
  campaignsPath,
  dataOf,
  postCampaign,
  smsBody,
  templateMessage,
  whatsAppBody,
} from '../../support/campaigns';
import { startCampaignGround, type CampaignGround } from '../../support/campaignGround';
import { until } from '../../support/conditions';
import { buildCustomer, buildTenant, type TestTenant } from '../../support/factories';

let ground: CampaignGround;
let api: TestApi;

beforeAll(async () => {
  ground = await startCampaignGround();
  await ground.startWorker();
  api = await startTestApi({
    db: ground.db,
    campaigns: createCampaignWorkflows(ground.temporal),
  });
});

afterAll(async () => {
  await api.stop();
  await ground.stop();
});

const twilio = (channel: 'sms' | 'whatsapp'): NewAccountValues => ({
  channel,
  vendor: 'twilio',
  name: 'Twilio',
  settings: { accountSid: DEMO_TWILIO_ACCOUNT.accountSid, baseUrl: ground.sandbox.url },
  credentials: { authToken: DEMO_TWILIO_ACCOUNT.authToken },
  senders: [{ address: '+15005550006', name: null }],
  active: true,
});

const meta = (): NewAccountValues => ({
  channel: 'whatsapp',
  vendor: 'meta',
  name: 'Meta',
  settings: {
    phoneNumberId: DEMO_META_ACCOUNT.phoneNumberId,
    businessAccountId: DEMO_META_ACCOUNT.businessAccountId,
    baseUrl: ground.sandbox.url,
  },
  credentials: {
    accessToken: DEMO_META_ACCOUNT.accessToken,
    appSecret: DEMO_META_ACCOUNT.appSecret,
  },
  senders: [],
  active: true,
});

async function giveAccount({ tenantId, userId }: TestTenant, account: NewAccountValues) {
  const key = { tenantId, id: newId() };
  await withTenant(ground.db, tenantId, async (trx) => {
    await createProviderAccount(trx, testSealing, key, account, {
      createdBy: userId,
      limitPerMinute: 0,
    });
    await makeDefault(trx, key);
  });
}

// Each would break another message, or its own, if it were taken for anything but text.
const hostileNames = [
  `<b>"A" & 'B'</b>`,
  '","to":"+15550001","x":"',
  'x&To=%2B15550001&Body=y',
  'a=b;c=d?e=f#g+h%20i',
  '{{ customer.email }}{% raw %}',
  '{{1}} {{2}} %s $1 \\1',
  '-a1b2c3d4e5f6x0-',
  'A\r\nBcc: b@c.example\r\n\r\nX',
  'a\tb\u001b[31m\u0007c',
  'ends in a backslash \\',
  '../../etc/passwd',
  '日本語 ñ 🎉 👩‍👩‍👧',
  'עברית \u202e reversed',
  'e\u0301 and é',
  'x'.repeat(100),
  '*bold* _slanted_ ~struck~ `code`',
];

/** The bodies and variables that the vendor's stand-in took, by number. */
async function received(numbers: string[]): Promise<Map<string, unknown>> {
  const { url } = ground.sandbox;
  const found = new Map<string, unknown>();
  for (const number of numbers) {
    for (const to of [number, `whatsapp:${number}`]) {
      const list = await fetch(`${url}/api/messages?to=${encodeURIComponent(to)}`);
      const { items }: { items: { id: string }[] } = JSON.parse(await list.text());
      for (const { id } of items) {
        expect(found.has(number)).toBe(false);
        const text = await (await fetch(`${url}/api/messages/${id}`)).text();
        found.set(number, JSON.parse(text).raw);
      }
    }
  }
  return found;
}

const unsubscribe = /\/t\/u\/[\w-]{46}/g;

let lastNumber = 49_30_700_000;

/** Sends a campaign to customers of hostile names; answers what was shown and what was received. */
async function sendToAll(account: NewAccountValues, body: Record<string, unknown>) {
  const tenant = await buildTenant(api.deps, { companyName: 'Bells & "Co"' });
  await giveAccount(tenant, account);
  const customers = await Promise.all(
    hostileNames.map((firstName, index) =>
      buildCustomer(api.deps, {
        tenant,
        firstName,
        email: null,
        phone: `+${(lastNumber += 1)}`,
        attributes: { note: hostileNames[hostileNames.length - 1 - index] ?? '' },
      }),
    ),
  );
  const { token } = tenant;
  const { id } = await postCampaign(api, tenant, body);
  const previews = await Promise.all(
    customers.map(async (customer) =>
      dataOf(
        await api.send('post', `${campaignsPath}/${id}/preview`, {
          token,
          json: { customerId: customer.id },
        }),
        200,
      ),
    ),
  );
  dataOf(await api.send('post', `${campaignsPath}/${id}/send`, { token, json: {} }), 202);
  await until('the campaign is completed', async () => {
    const { status } = dataOf(await api.send('get', `${campaignsPath}/${id}`, { token }), 200);
    return status === 'completed';
  });
  const forms = await received(customers.map(({ phone }) => phone ?? ''));
  return { previews, delivered: customers.map(({ phone }) => forms.get(phone ?? '')) };
}

const texts =
  '{{ customer.firstName }} | {{ customer.attributes.note | upcase }}\n{{ links.unsubscribe }}';

test.each([
  ['plain fields', texts.replace(' | upcase', '')],
  ['Liquid', `{% if customer.firstName %}${texts}{% endif %}`],
])(
  'a text is what was previewed, byte for byte but for the token: %s',
  async (_what, body) => {
    const { previews, delivered } = await sendToAll(twilio('sms'), smsBody({ body }));
    expect(
      delivered.map((form) =>
        String(Reflect.get(Object(form), 'body')).replace(unsubscribe, '/t/u/preview'),
      ),
    ).toEqual(previews.map((preview) => preview.body));
  },
  60_000,
);

test('a WhatsApp text at Twilio is what was previewed', async () => {
  const message = { kind: 'text', body: texts.replace('\n{{ links.unsubscribe }}', '') };
  const { previews, delivered } = await sendToAll(twilio('whatsapp'), whatsAppBody({ message }));
  expect(delivered).toMatchObject(previews.map((preview) => ({ body: preview.message.body })));
});

test('the variables of a template at Twilio are what was previewed', async () => {
  const message = templateMessage({
    id: `HX${'b'.repeat(32)}`,
    variables: { '1': '{{ customer.firstName }}', '2': '{{ customer.attributes.note }}' },
  });
  const { previews, delivered } = await sendToAll(twilio('whatsapp'), whatsAppBody({ message }));
  expect(delivered).toMatchObject(
    previews.map((preview) => ({ contentVariables: preview.message.variables })),
  );
});

test('the variables of a template at Meta are what was previewed', async () => {
  const message = templateMessage({
    variables: { '1': '{{ customer.firstName }}', '2': '{{ customer.attributes.note }}' },
  });
  const { previews, delivered } = await sendToAll(meta(), whatsAppBody({ message }));
  expect(delivered).toMatchObject(
    previews.map(({ message: { variables } }) => ({
      name: 'spring_sale',
      variables: [{ text: variables['1'] }, { text: variables['2'] }],
    })),
  );
});
