import { createCampaignWorkflows } from '../../../clients/campaigns';
import { newId } from '../../../lib/ids';
import { startTestApi, type TestApi } from '../../support/api';
import { campaignsPath, contentBody, dataOf, postCampaign } from '../../support/campaigns';
import { startCampaignGround, type CampaignGround } from '../../support/campaignGround';
import { until } from '../../support/conditions';
import { buildCustomer, buildTenant } from '../../support/factories';

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

const everyKindOfNode = {
  subject:
    '{{ customer.firstName | default: "You" }} & {{ tenant.name }}: {{ customer.attributes.shoe }}',
  preheader: 'Only for {{ customer.firstName }}',
  html: [
    '<!doctype html><html><body>',
    '{% assign size = customer.attributes.shoe | plus: 1 %}',
    '<p>Hi {{ customer.firstName }} {{ customer.lastName | upcase }}, {{ campaign.name }}</p>',
    '{% if customer.attributes.vip %}<p>Your size: {{ size }}</p>{% else %}<p>Join us</p>{% endif %}',
    '{% for pet in customer.attributes.pets %}<li>{{ pet }}</li>{% endfor %}',
    '<a href="https://shop.example/sale?a=1&amp;b=2">Sale</a> <a href=\'https://shop.example/new\'>New</a>',
    '<a href="mailto:us@shop.example">Write</a> {{ "now" | date: "%Y" }}',
    '</body></html>',
  ].join('\n'),
};
const plainFields = {
  subject: 'Hello {{ customer.firstName }}',
  html: '<p>{{ customer.firstName }} <b>{{ customer.email }}</b></p><a href="https://shop.example">Shop</a>',
  text: 'Hello {{ customer.firstName }}, {{ customer.attributes.shoe }}: {{ links.unsubscribe }}',
};

test.each([
  ['every kind of node', everyKindOfNode, 'short'],
  ['plain fields', plainFields, 'short'],
  ['a call of its own', everyKindOfNode, 'x'.repeat(12_000)],
])('is what is delivered, byte for byte but for the tokens: %s', async (_, content, lastName) => {
  const tenant = await buildTenant(api.deps, { companyName: 'Bells & "Co"' });
  const customers = await Promise.all(
    ['Zoë <3', "O'Hara & Sons", '$1 -x0- {{ raw }}'].map((firstName, i) =>
      buildCustomer(api.deps, {
        tenant,
        firstName,
        lastName: `${i}${lastName}`.slice(0, 12_000),
        attributes: { shoe: 41 + i, vip: i === 0, pets: ['Rex', '<b>Tom</b>'].slice(0, i) },
      }),
    ),
  );
  const { id } = await postCampaign(api, tenant, { content: contentBody(content) });
  const previews = await Promise.all(
    customers.map(async (customer) =>
      dataOf(
        await api.send('post', `${campaignsPath}/${id}/preview`, {
          token: tenant.token,
          json: { customerId: customer.id },
        }),
        200,
      ),
    ),
  );

  dataOf(
    await api.send('post', `${campaignsPath}/${id}/send`, { token: tenant.token, json: {} }),
    202,
  );
  for (const [index, customer] of customers.entries()) {
    const delivered = await until('the message is delivered', () => inbox(customer.email ?? ''));
    expect({
      subject: delivered.subject,
      html: withoutTokens(delivered.html),
      text: withoutTokens(delivered.text),
    }).toEqual({
      subject: previews[index].subject,
      html: previews[index].html,
      text: previews[index].text,
    });
    expect(previews[index]).toMatchObject({
      contentVersion: 1,
      customerId: customer.id,
      from: { email: 'shop@example.com', name: 'Bells & Co' },
    });
  }
});

/** The one message to an address, whole; null while there is none. */
async function inbox(
  address: string,
): Promise<{ subject: string; html: string; text: string } | null> {
  const { url } = ground.sandbox;
  const list = await fetch(`${url}/api/messages?to=${encodeURIComponent(address)}`);
  const { items }: { items: { id: string }[] } = JSON.parse(await list.text());
  const [item] = items;
  return item === undefined
    ? null
    : JSON.parse(await (await fetch(`${url}/api/messages/${item.id}`)).text());
}

function withoutTokens(text: string): string {
  return text.replace(/\/t\/([cou])\/[\w-]{46}/g, '/t/$1/preview');
}

test('shows where links lead, and a made-up customer when none is chosen', async () => {
  const tenant = await buildTenant(api.deps);
  const { id } = await postCampaign(api, tenant);
  const answer = await api.send('post', `${campaignsPath}/${id}/preview`, {
    token: tenant.token,
    json: { sample: true },
  });
  expect(dataOf(answer, 200)).toMatchObject({
    customerId: null,
    subject: 'Hello Alex',
    html: expect.stringContaining('http://carillon.test/t/c/preview/1'),
    links: ['https://shop.example/sale', 'https://shop.example/new'],
  });
});

test.each([
  [{}, 'customerId', 'exactlyOne'],
  [{ sample: true, customerId: newId() }, 'customerId', 'exactlyOne'],
  [{ sample: false }, 'sample', 'notAllowed'],
  [{ customerId: 'x' }, 'customerId', 'wrongFormat'],
  [{ customerId: newId() }, 'customerId', 'unknownCustomer'],
  [{ sample: true, html: '<p>' }, 'html', 'unknownField'],
])('refuses %j', async (json, path, code) => {
  const tenant = await buildTenant(api.deps);
  const { id } = await postCampaign(api, tenant);
  const answer = await api.send('post', `${campaignsPath}/${id}/preview`, {
    token: tenant.token,
    json,
  });
  expect(answer.status).toBe(422);
  expect(answer.body.errors).toMatchObject([{ path, code }]);
});

test('refuses a customer whose message would have no subject, and one of another tenant', async () => {
  const [tenant, other] = [await buildTenant(api.deps), await buildTenant(api.deps)];
  const { id } = await postCampaign(api, tenant, {
    content: contentBody({ subject: '{{ customer.lastName }}' }),
  });
  const nameless = await buildCustomer(api.deps, { tenant });
  const theirs = await buildCustomer(api.deps, { tenant: other });
  const codeFor = async (token: string, customerId: string) => {
    const answer = await api.send('post', `${campaignsPath}/${id}/preview`, {
      token,
      json: { customerId },
    });
    return [answer.status, answer.body.errors?.[0].code ?? answer.body.code];
  };
  expect(await codeFor(tenant.token, nameless.id)).toEqual([422, 'renderFailed']);
  expect(await codeFor(tenant.token, theirs.id)).toEqual([422, 'unknownCustomer']);
  expect(await codeFor(other.token, theirs.id)).toEqual([404, 'campaignNotFound']);
  expect(await codeFor(tenant.tokenOf('viewer'), nameless.id)).toEqual([403, 'forbidden']);
});
