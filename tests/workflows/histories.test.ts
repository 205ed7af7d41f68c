import { randomBytes } from 'node:crypto';
import type { Payload } from '@temporalio/common';
import { createCampaignWorkflows } from '../../clients/campaigns';
import { createTestSends } from '../../clients/testSends';
import { ensureStandingWork } from '../../workers/schedules';
import { startTestApi, type TestApi } from '../support/api';
import { startCampaignGround, type CampaignGround } from '../support/campaignGround';
import { campaignBody, dataOf } from '../support/campaigns';
import {
  buildPerson,
  startTestCodec,
  type JsonPayload,
  type Person,
  type TestCodec,
} from '../support/codec';
import { until } from '../support/conditions';
import { exportWorkflows, type ExportedWorkflow } from '../support/exportedHistories';

// Each of them is nowhere else in the world, so that what is found is this.
const mark = () => randomBytes(6).toString('hex');
const campaignName = `Spring sale ${mark()}`;
const secret = {
  customerEmail: `ada.${mark()}@people.example`,
  firstName: `Zenobia${mark()}`,
  lastName: `Overbeck${mark()}`,
  phone: `+49151${String(Number.parseInt(mark().slice(0, 7), 16))
    .padStart(9, '0')
    .slice(0, 8)}`,
  street: `Glockengasse ${mark()}`,
  importedEmail: `imported.${mark()}@people.example`,
  importedName: `Hedwig${mark()}`,
  testAddress: `tester.${mark()}@people.example`,
  resetEmail: `forgot.${mark()}@people.example`,
  resetName: `Ignatius${mark()}`,
  resetToken: randomBytes(32).toString('base64url'),
};

let ground: CampaignGround;
let api: TestApi;
let codec: TestCodec;
let owner: Person;
let token: string;
let campaignId: string;
let workflows: ExportedWorkflow[];
let others: string;
// What must be nowhere.
let wanted: Record<string, string>;

beforeAll(async () => {
  ground = await startCampaignGround();
  api = await startTestApi({
    db: ground.db,
    campaigns: createCampaignWorkflows(ground.temporal),
    testSends: createTestSends(ground.temporal),
  });
  codec = await startTestCodec(ground.db);
  await ground.startWorker();
  await ensureStandingWork(ground.temporal.client);
  owner = await buildPerson(ground.db);
  const { email, password } = owner;
  const login = await api.send('post', '/api/v1/auth/login', { json: { email, password } });
  token = dataOf(login, 200).accessToken;

  await haveCustomers();
  campaignId = await sendCampaign();
  await sendToken();
  const reset = await resetPassword();
  wanted = { ...secret, ...reset, ownerEmail: owner.email, accessToken: token };
  owner = { ...owner, password: reset.newPassword };
  ({ workflows, others } = await exportWorkflows(ground.temporal.client, ground.namespace));
});

afterAll(async () => {
  await codec.stop();
  await api.stop();
  await ground.stop();
});

test('all that was done is in the export', () => {
  const types = new Set(workflows.map(({ type }) => type));
  for (const type of ['campaign', 'campaignRun', 'campaignWave', 'testSend', 'transactional']) {
    expect(types).toContain(type);
  }
  expect(workflows.every(({ payloads }) => payloads.length > 0)).toBe(true);
});

test('nobody finds an address, a name, a phone number or a token in what the server keeps', () => {
  const kept = [others, ...workflows.map(({ raw }) => raw)];
  expect(foundIn(kept, wanted)).toEqual([]);
});

test('not even after decrypting it', () => {
  const clear = workflows.map(({ clear: text }) => text);
  expect(foundIn(clear, wanted)).toEqual([]);
});

test('what is looked for is found where it is', () => {
  // In clear the campaign's name is a summary and its id an input; encrypted, only the ids show.
  const clear = workflows.map(({ clear: text }) => text);
  const kept = [others, ...workflows.map(({ raw }) => raw)];
  expect(foundIn(clear, { campaignName, campaignId })).toEqual(['campaignName', 'campaignId']);
  expect(foundIn(kept, { campaignName, campaignId })).toEqual(['campaignId']);
  expect(
    foundIn([`{"data":"${toBase64(Buffer.from(`xy${campaignName}z`))}"}`], { campaignName }),
  ).toEqual(['campaignName']);
});

test('every payload is encrypted, each tenant’s with a key of theirs', async () => {
  for (const { workflowId, payloads } of workflows) {
    const expected =
      workflowId.startsWith(`campaign/${owner.tenantId}/`) ||
      workflowId.startsWith(`testSend/${owner.tenantId}/`)
        ? owner.tenantId
        : null;
    for (const { metadata } of payloads) {
      expect(textOf(metadata?.['encoding'])).toBe('binary/encrypted');
      const keyId = textOf(metadata?.['encryption-key-id']);
      expect([workflowId, (await codec.deps.dataKeys.byId(keyId)).tenantId]).toEqual([
        workflowId,
        expected,
      ]);
    }
  }
});

describe('the codec server shows them', () => {
  const ofCampaign = () => payloadsOf(({ workflowId }) => workflowId.startsWith('campaign/'));
  const ofPlatform = () => payloadsOf(({ type }) => type === 'transactional');

  test('to the owner of the tenant, and nothing of the platform', async () => {
    const cookie = await codec.cookieOf(owner);
    const answer = await codec.ask('decode', [...ofCampaign(), ...ofPlatform()], cookie);
    const shown = answer.payloads.slice(0, ofCampaign().length);
    expect(shown.every(({ metadata }) => fromBase64(metadata['encoding']) === 'json/plain')).toBe(
      true,
    );
    expect(shown.some(({ data }) => fromBase64(data).includes(campaignName))).toBe(true);
    expect(answer.payloads.slice(shown.length)).toEqual(ofPlatform());
  });

  test('to a platform admin, all of them', async () => {
    const admin = await buildPerson(ground.db, { isPlatformAdmin: true });
    const all = [...ofCampaign(), ...ofPlatform()];
    const { payloads } = await codec.ask('decode', all, await codec.cookieOf(admin));
    expect(payloads).toHaveLength(all.length);
    expect(payloads.some((one, index) => one.data === all[index]?.data)).toBe(false);
  });

  test('neither to the owner of another tenant nor to whoever has not signed in', async () => {
    const stranger = await buildPerson(ground.db);
    const answer = await codec.ask('decode', ofCampaign(), await codec.cookieOf(stranger));
    expect(answer.payloads).toEqual(ofCampaign());
    expect(await codec.ask('decode', ofCampaign())).toMatchObject({ status: 401 });
  });
});

// One by hand, with all that a customer may have, and one from a file.
async function haveCustomers(): Promise<void> {
  const customer = await api.send('post', '/api/v1/customers', {
    token,
    json: {
      email: secret.customerEmail,
      phone: secret.phone,
      firstName: secret.firstName,
      lastName: secret.lastName,
      timeZone: 'UTC',
      attributes: { street: secret.street },
    },
  });
  dataOf(customer, 201);
  const form = new FormData();
  const file = `email,first name\r\n${secret.importedEmail},${secret.importedName}\r\n`;
  form.append('file', new Blob([file], { type: 'text/csv' }), 'customers.csv');
  const imported = await api.send('post', '/api/v1/customers/upload', { token, body: form });
  const { id } = dataOf(imported, 202);
  await until('the import to be over', async () => {
    const { body } = await api.send('get', `/api/v1/imports/${id}`, { token });
    return body.data.state === 'completed' && body.data.created === 1;
  });
}

async function sendCampaign(): Promise<string> {
  const html =
    '<p>{{ customer.firstName }} {{ customer.lastName }}, {{ customer.attributes.street }}</p>' +
    '<a href="https://shop.example/sale">Sale</a>';
  const body = campaignBody({ name: campaignName });
  const written = await api.send('post', '/api/v1/campaigns', {
    token,
    json: { ...body, content: { ...body.content, html } },
  });
  const { id } = dataOf(written, 201);
  const path = `/api/v1/campaigns/${id}`;
  const tested = await api.send('post', `${path}/test-send`, {
    token,
    json: { to: [secret.testAddress] },
  });
  expect(tested.status).toBeLessThan(300);
  dataOf(await api.send('post', `${path}/send`, { token, json: {} }), 202);
  await until('the campaign to be completed', async () => {
    const { data } = (await api.send('get', path, { token })).body;
    return data.status === 'completed';
  });
  expect(await deliveredTo(secret.customerEmail)).toBe(1);
  return id;
}

// What a tenant sends somebody to get in with.
async function sendToken(): Promise<void> {
  const sent = await api.send('post', '/api/v1/messages', {
    token,
    json: {
      channel: 'email',
      from: { email: 'shop@example.com', name: 'Bells' },
      to: { email: secret.resetEmail, name: secret.resetName },
      content: {
        subject: 'A new password',
        html: '<a href="https://carillon.test/reset?token={{ data.token }}">Choose one</a>',
      },
      data: { token: secret.resetToken },
    },
  });
  const { id } = dataOf(sent, 202);
  await until('the message to be with the provider', async () => {
    const { data } = (await api.send('get', `/api/v1/messages/${id}`, { token })).body;
    return data.state === 'accepted';
  });
  expect(await deliveredTo(secret.resetEmail)).toBe(1);
}

// The mail comes by the lane of single messages, and its link sets the new password.
async function resetPassword(): Promise<{ passwordToken: string; newPassword: string }> {
  const { email } = owner;
  dataOf(await api.send('post', '/api/v1/auth/forgot', { json: { email } }), 202);
  const id = await until('the mail to be delivered', async () => (await messagesTo(email))[0]?.id);
  const mail = await (await fetch(`${ground.sandbox.url}/api/messages/${id}`)).text();
  const passwordToken = /reset\?token=([\w-]+)/.exec(mail)?.[1] ?? '';
  const newPassword = `a new password ${mark()}`;
  const reset = await api.send('post', '/api/v1/auth/reset', {
    json: { token: passwordToken, password: newPassword },
  });
  expect(reset.status).toBe(204);
  return { passwordToken, newPassword };
}

async function deliveredTo(address: string): Promise<number> {
  return (await messagesTo(address)).length;
}

async function messagesTo(address: string): Promise<{ id: string }[]> {
  const list = await fetch(`${ground.sandbox.url}/api/messages?to=${encodeURIComponent(address)}`);
  const { items }: { items: { id: string }[] } = JSON.parse(await list.text());
  return items;
}

/** Which of these are somewhere in the texts, as they are, in an address or in base64. */
function foundIn(texts: readonly string[], wanted: Record<string, string>): string[] {
  return Object.entries(wanted)
    .filter(([, value]) =>
      [value, encodeURIComponent(value), ...insideBase64(value)].some((form) =>
        texts.some((text) => text.includes(form)),
      ),
    )
    .map(([name]) => name);
}

// Base64 takes three bytes at a time, so a text inside of it looks in one of three ways. What depends
// on its neighbours, at both ends, is left out.
function insideBase64(value: string): string[] {
  return [0, 1, 2].map((before) =>
    Buffer.from(`${'.'.repeat(before)}${value}`)
      .toString('base64')
      .slice(before === 0 ? 0 : 4, -4),
  );
}

function payloadsOf(isWanted: (workflow: ExportedWorkflow) => boolean): JsonPayload[] {
  return workflows.filter(isWanted).flatMap(({ payloads }) => payloads.map(jsonOf));
}

function jsonOf({ metadata, data }: Payload): JsonPayload {
  return {
    metadata: Object.fromEntries(
      Object.entries(metadata ?? {}).map(([name, bytes]) => [name, toBase64(bytes)]),
    ),
    data: toBase64(data ?? new Uint8Array()),
  };
}

function toBase64(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}

function fromBase64(text: string | undefined): string {
  return Buffer.from(text ?? '', 'base64').toString('utf8');
}

function textOf(bytes: Uint8Array | undefined): string {
  return Buffer.from(bytes ?? []).toString('utf8');
}
