import { randomBytes } from 'node:crypto';
import { Writable } from 'node:stream';
import type { PayloadCodec } from '@temporalio/common';
import { pino } from 'pino';
import { createCampaignWorkflows } from '../../clients/campaigns';
import { createTestSends } from '../../clients/testSends';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { sealedColumns } from '../../models/identity/sealedPlaces';
import { startTestApi, type ApiAnswer, type TestApi } from '../support/api';
import { campaignBody, campaignsPath, dataOf, smsBody, whatsAppBody } from '../support/campaigns';
import { startCampaignGround, type CampaignGround } from '../support/campaignGround';
import { until } from '../support/conditions';
import { testDataConverter } from '../support/dataConverter';
import { buildTenant, type TestTenant } from '../support/factories';
import {
  accountsPath,
  metaBody,
  sendGridBody,
  smtpBody,
  twilioBody,
} from '../api/providerAccounts/ground';
import { startTalkative, type Talkative } from './talkative';

let vendor: Talkative;
let campaigns: CampaignGround;
let api: TestApi;
let log = '';

beforeAll(async () => {
  const sink = new Writable({
    write(chunk: Buffer, _, done) {
      log += chunk.toString();
      done();
    },
  });
  const logger = pino({ level: 'trace' }, sink);
  vendor = await startTalkative();
  campaigns = await startCampaignGround({ deps: { logger } });
  await campaigns.startWorker();
  api = await startTestApi({
    db: campaigns.deps.db,
    logger,
    campaigns: createCampaignWorkflows(campaigns.temporal),
    testSends: createTestSends(campaigns.temporal, { startMs: 20_000, waitMs: 20_000 }),
  });
  // Only in development may an account lead to this machine.
  Object.assign(api.deps.config, { NODE_ENV: 'development' });
});

afterAll(async () => {
  await api.stop();
  await campaigns.stop();
  await vendor.close();
});

interface VendorCase {
  title: string;
  campaign: object;
  /** An account with secrets that nobody else has. */
  account: () => { body: object; secrets: string[] };
}

const hex = (bytes: number) => randomBytes(bytes).toString('hex');

const cases: VendorCase[] = [
  {
    title: 'SendGrid',
    campaign: campaignBody(),
    account: () => {
      const apiKey = `SG.${hex(11)}.${hex(20)}`;
      const settings = { baseUrl: vendor.url };
      return { body: sendGridBody({ settings, credentials: { apiKey } }), secrets: [apiKey] };
    },
  },
  {
    title: 'an SMTP server',
    campaign: campaignBody(),
    account: () => {
      const [username, password] = [`user-${hex(8)}`, `password ${hex(12)}`];
      return {
        body: smtpBody({
          settings: { host: '127.0.0.1', port: vendor.smtpPort, security: 'none' },
          credentials: { username, password },
        }),
        secrets: [username, password, base64(`\0${username}\0${password}`)],
      };
    },
  },
  {
    title: 'Twilio',
    campaign: smsBody(),
    account: () => {
      const [accountSid, authToken] = [`AC${hex(16)}`, hex(16)];
      return {
        body: twilioBody({
          settings: { accountSid, baseUrl: vendor.url },
          credentials: { authToken },
        }),
        secrets: [authToken, base64(`${accountSid}:${authToken}`)],
      };
    },
  },
  {
    title: 'Meta',
    campaign: whatsAppBody(),
    account: () => {
      const credentials = {
        accessToken: `EAA${hex(20)}`,
        appSecret: hex(16),
        verifyToken: `verify-${hex(12)}`,
      };
      const settings = {
        phoneNumberId: '106540352242922',
        businessAccountId: '102290129340398',
        baseUrl: vendor.url,
      };
      return { body: metaBody({ settings, credentials }), secrets: Object.values(credentials) };
    },
  },
];

test.each(cases)(
  'what opens an account at $title is told to nobody else',
  async ({ campaign, account }) => {
    const refusalsBefore = vendor.refusals;
    const tenant = await buildTenant(api.deps);
    const { token } = tenant;
    const { body, secrets } = account();
    const answers: ApiAnswer[] = [];
    const ask = async (method: string, path: string, json?: object) => {
      const answer = await api.send(method, path, {
        token,
        ...(json === undefined ? {} : { json, headers: { 'Idempotency-Key': newId() } }),
      });
      answers.push(answer);
      return answer;
    };

    const { id } = dataOf(await ask('post', accountsPath, body), 201);
    // Refused as a whole: what was given is not said again.
    await ask('post', accountsPath, { ...body, vendor: 'other' });
    await ask('patch', `${accountsPath}/${id}`, { credentials: { wrong: secrets[0] } });
    await ask('patch', `${accountsPath}/${id}`, { name: 'Renamed' });
    const tested = dataOf(await ask('post', `${accountsPath}/${id}/test`, {}), 200);
    expect(tested.lastTest).toMatchObject({ outcome: 'refused' });
    await ask('post', `${accountsPath}/${id}/default`, {});

    const campaignId = await fail(tenant, campaign, ask);
    expect(vendor.refusals).toBeGreaterThan(refusalsBefore + 1);
    await readAll({ accountId: id, campaignId }, ask);

    const [{ credentials }] = await campaigns.db('provider_accounts').where({ id });
    expect(credentials).toMatch(/^1\.test\./);
    const told = {
      answers: answers.map(({ text, headers }) => text + JSON.stringify([...headers])).join('\n'),
      log,
      histories: await histories(campaigns),
      records: await everythingElse(campaigns.db),
    };
    expect(answers.length).toBeGreaterThan(20);
    expect([
      told.log.includes(tenant.tenantId),
      told.histories.includes(campaignId),
      told.records.includes(id),
    ]).toEqual([true, true, true]);
    for (const secret of [...secrets, credentials]) {
      const where = Object.entries(told).filter(([, text]) => text.includes(secret));
      expect(where.map(([name, text]) => `${name}: ${around(text, secret)}`)).toEqual([]);
    }
  },
);

type Ask = (method: string, path: string, json?: object) => Promise<ApiAnswer>;

/** A campaign and a test of it that the vendor refuses; resolves when the run stands still. */
async function fail(tenant: TestTenant, campaign: object, ask: Ask): Promise<string> {
  const customer = { email: `c-${tenant.userId}@example.com`, phone: '+4915112345678' };
  dataOf(
    await ask('post', '/api/v1/customers', { ...customer, firstName: 'Ana', timeZone: 'UTC' }),
    201,
  );
  const { id } = dataOf(await ask('post', campaignsPath, campaign), 201);
  const to = 'channel' in campaign ? customer.phone : customer.email;
  const test = await ask('post', `${campaignsPath}/${id}/test-send`, { to: [to] });
  expect(test.status).toBe(502);
  dataOf(await ask('post', `${campaignsPath}/${id}/send`, {}), 202);
  await until(
    'the campaign to stand still',
    async () => {
      const { status } = dataOf(await ask('get', `${campaignsPath}/${id}`), 200);
      return ['paused', 'completed', 'failed'].includes(status);
    },
    60_000,
  );
  return id;
}

/** Every GET that the OpenAPI document names, of these resources where it names one. */
async function readAll(
  { accountId, campaignId }: { accountId: string; campaignId: string },
  ask: Ask,
): Promise<void> {
  const { body } = await ask('get', '/openapi.json');
  const paths: [string, Record<string, unknown>][] = Object.entries(body.paths);
  for (const [path] of paths.filter(([, operations]) => 'get' in operations)) {
    const id = path.includes('/provider-accounts') ? accountId : campaignId;
    await ask('get', path.replace(/\{id\}/, id).replace(/\{\w+\}/g, '1'));
  }
}

// As the server has them, and as a worker reads them.
async function histories({ temporal, deps }: CampaignGround): Promise<string> {
  const codecs = testDataConverter(deps.db).payloadCodecs ?? [];
  let text = '';
  for await (const { workflowId, runId } of temporal.client.workflow.list()) {
    const history = await temporal.client.workflow.getHandle(workflowId, runId).fetchHistory();
    text += `${workflowId} ${JSON.stringify(history)}`;
    text += (await decodedPayloads(history, codecs)).join('\n');
  }
  return text;
}

async function decodedPayloads(value: unknown, codecs: readonly PayloadCodec[]): Promise<string[]> {
  if (Array.isArray(value)) {
    return (await Promise.all(value.map((each) => decodedPayloads(each, codecs)))).flat();
  }
  if (!isRecord(value)) {
    return [];
  }
  const { metadata, data } = value;
  if (isRecord(metadata) && data instanceof Uint8Array) {
    let payloads = [{ metadata: bytesOf(metadata), data }];
    for (const codec of codecs.toReversed()) {
      const decoded = await codec.decode(payloads);
      payloads = decoded.map((each) => ({
        metadata: each.metadata ?? {},
        data: each.data ?? new Uint8Array(),
      }));
    }
    return payloads.map((payload) => Buffer.from(payload.data).toString());
  }
  return decodedPayloads(Object.values(value), codecs);
}

function bytesOf(metadata: Record<string, unknown>): Record<string, Uint8Array> {
  return Object.fromEntries(
    Object.entries(metadata).filter(
      (entry): entry is [string, Uint8Array] => entry[1] instanceof Uint8Array,
    ),
  );
}

// Every table as text, without the columns whose values are sealed.
async function everythingElse(db: Knex): Promise<string> {
  const found = await db.raw(
    `select c.relname as "table" from pg_class c
      where c.relkind = 'r' and c.relnamespace = 'public'::regnamespace`,
  );
  const tables: { table: string }[] = found.rows;
  const texts = await Promise.all(
    tables.map(async ({ table }) => {
      const sealed = Object.values(sealedColumns).filter((column) => column.table === table);
      const rest = sealed.map(({ column }) => ` - '${column}'`).join('');
      const rows = await db.raw(
        `select string_agg(cast(to_jsonb(t)${rest} as text), chr(10)) as text from "${table}" t`,
      );
      return `${table}: ${rows.rows[0].text}`;
    }),
  );
  return texts.join('\n');
}

function base64(text: string): string {
  return Buffer.from(text).toString('base64');
}

function around(text: string, secret: string): string {
  const at = text.indexOf(secret);
  return text.slice(Math.max(0, at - 200), at + secret.length + 50);
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null;
}
