import { createCampaignWorkflows } from '../../clients/campaigns';
import { newId } from '../../lib/ids';
import { withTenant } from '../../models/base';
import { createProviderAccount, makeDefault } from '../../models/messages/accounts';
import type { NewAccountValues } from '../../models/messages/accountCredentials';
import { DEMO_META_ACCOUNT, DEMO_TWILIO_ACCOUNT } from '../../sandbox';
import { campaignWorkflowId } from '../../workflows/campaigns/messages';
import { testSealing } from '../support/accounts';
import { startTestApi, type TestApi } from '../support/api';
import { campaignsPath, dataOf, postCampaign } from '../support/campaigns';
import { startCampaignGround, type CampaignGround } from '../support/campaignGround';
import { buildTenant, type TestTenant } from '../support/factories';
import type { HostilePerson } from './people';

/** Carillon with a worker, its API over HTTP, and stand-ins of every vendor. */
export interface HostileGround {
  campaigns: CampaignGround;
  api: TestApi;
  stop(): Promise<void>;
}

export async function startHostileGround(): Promise<HostileGround> {
  const campaigns = await startCampaignGround({ sandbox: { smtp: { port: 0 } } });
  await campaigns.startWorker();
  const api = await startTestApi({
    db: campaigns.deps.db,
    campaigns: createCampaignWorkflows(campaigns.temporal),
  });
  return {
    campaigns,
    api,
    async stop() {
      await api.stop();
      await campaigns.stop();
    },
  };
}

export type Vendor = 'sendgrid' | 'smtp' | 'twilioSms' | 'twilioWhatsApp' | 'meta';

/** A customer as the API answers it. */
export interface StoredPerson extends HostilePerson {
  id: string;
  /** Their place in the list they were written from, which their mark tells. */
  n: number;
}

/** A message as it lies in the stand-in's inbox. */
export interface Delivered {
  recipient: { email: string; name: string | null };
  to: { email: string; name: string | null }[];
  cc: unknown[];
  subject: string;
  html: string | null;
  text: string | null;
  headers: Record<string, string>;
  customArgs: Record<string, string>;
  categories: string[];
  attachments: unknown[];
  // oxlint-disable-next-line typescript/no-explicit-any -- each vendor's request has a shape of its own
  raw: any;
}

// oxlint-disable-next-line typescript/no-explicit-any -- what the API shows differs by channel
export type Preview = any;

export interface Sent {
  tenant: TestTenant;
  people: StoredPerson[];
  /** By customer; without those for whom the API says that no message can be rendered. */
  previews: Map<string, Preview>;
  /** For somebody harmless, if the content shows nothing that only these people have. */
  sample: Preview;
  delivered: Delivered[];
  counts: { planned: number; accepted: number; leftOut: number };
}

/** A new tenant with an account at the vendor, and these people, written through the API. */
export async function writePeople(
  { api, campaigns }: HostileGround,
  { vendor, people }: { vendor: Vendor; people: HostilePerson[] },
): Promise<Pick<Sent, 'tenant' | 'people'>> {
  const tenant = await buildTenant(api.deps, { companyName: 'Bells & "Co" <x>' });
  await openAccount(campaigns, tenant.tenantId, vendor);
  const written = await inTurn(people, async (person, n): Promise<StoredPerson> => {
    const answer = await api.send('post', '/api/v1/customers', {
      token: tenant.token,
      json: person,
    });
    return { ...dataOf(answer, 201), n };
  });
  return { tenant, people: written };
}

/** Writes the people, previews a campaign for each of them, sends it, and reads what came. */
export async function sendToPeople(
  ground: HostileGround,
  wanted: { vendor: Vendor; people: HostilePerson[]; campaign: Record<string, unknown> },
): Promise<Sent> {
  const { api, campaigns } = ground;
  const { tenant, people } = await writePeople(ground, wanted);
  const { id } = await postCampaign(api, tenant, wanted.campaign);
  const preview = (json: object) =>
    api.send('post', `${campaignsPath}/${id}/preview`, { token: tenant.token, json });
  const previews: Sent['previews'] = new Map();
  await inTurn(people, async ({ id: customerId }) => {
    const answer = await preview({ customerId });
    if (answer.body.errors?.[0].code !== 'renderFailed') {
      previews.set(customerId, dataOf(answer, 200));
    }
  });
  const sample = (await preview({ sample: true })).body.data;
  const sent = await api.send('post', `${campaignsPath}/${id}/send`, {
    token: tenant.token,
    json: {},
  });
  dataOf(sent, 202);
  const { planned, accepted, leftOut } = await campaigns.temporal.client.workflow
    .getHandle(campaignWorkflowId(tenant.tenantId, id))
    .result();
  return {
    tenant,
    people,
    previews,
    sample,
    delivered: await readInbox(ground, tenant),
    counts: { planned, accepted, leftOut },
  };
}

/** Everything that was delivered for a tenant. */
export async function readInbox(
  { campaigns: { db, sandbox } }: HostileGround,
  { tenantId }: TestTenant,
): Promise<Delivered[]> {
  const runs: string[] = await withTenant(db, tenantId, (trx) =>
    trx('campaign_runs').where({ tenant_id: tenantId }).pluck('id'),
  );
  const lists = await inTurn(runs, async (run) => {
    const list = await fetch(`${sandbox.url}/api/messages?perPage=1000&run=${run}`);
    const { items }: { items: { id: string }[] } = JSON.parse(await list.text());
    return items;
  });
  return inTurn(lists.flat(), async ({ id }) =>
    JSON.parse(await (await fetch(`${sandbox.url}/api/messages/${id}`)).text()),
  );
}

/** Does the work for each, a few at a time, and answers in their order. */
export async function inTurn<Item, Result>(
  items: readonly Item[],
  work: (item: Item, index: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  for (let from = 0; from < items.length; from += 8) {
    const some = items.slice(from, from + 8);
    results.push(...(await Promise.all(some.map((item, i) => work(item, from + i)))));
  }
  return results;
}

async function openAccount(
  { db, sandbox }: CampaignGround,
  tenantId: string,
  vendor: Vendor,
): Promise<void> {
  if (vendor === 'sendgrid') {
    return;
  }
  const key = { tenantId, id: newId() };
  await withTenant(db, tenantId, async (trx) => {
    const extra = { createdBy: newId(), limitPerMinute: 0 };
    await createProviderAccount(trx, testSealing, key, accountOf(sandbox, vendor), extra);
    await makeDefault(trx, key);
  });
}

function accountOf(
  { url, smtp }: CampaignGround['sandbox'],
  vendor: Exclude<Vendor, 'sendgrid'>,
): NewAccountValues {
  const shared = { name: 'Own', active: true };
  const twilio = {
    vendor: 'twilio',
    settings: { accountSid: DEMO_TWILIO_ACCOUNT.accountSid, baseUrl: url },
    credentials: { authToken: DEMO_TWILIO_ACCOUNT.authToken },
    senders: [{ address: '+15005550006', name: null }],
  } as const;
  switch (vendor) {
    case 'smtp':
      return {
        ...shared,
        channel: 'email',
        vendor: 'smtp',
        settings: { host: '127.0.0.1', port: smtp?.port ?? 0, security: 'none' },
        credentials: { username: 'carillon', password: 'sandbox' },
        senders: [],
      };
    case 'twilioSms':
      return { ...shared, ...twilio, channel: 'sms', senders: [...twilio.senders] };
    case 'twilioWhatsApp':
      return { ...shared, ...twilio, channel: 'whatsapp', senders: [...twilio.senders] };
    case 'meta':
      return {
        ...shared,
        channel: 'whatsapp',
        vendor: 'meta',
        settings: {
          phoneNumberId: DEMO_META_ACCOUNT.phoneNumberId,
          businessAccountId: DEMO_META_ACCOUNT.businessAccountId,
          baseUrl: url,
        },
        credentials: {
          accessToken: DEMO_META_ACCOUNT.accessToken,
          appSecret: DEMO_META_ACCOUNT.appSecret,
          verifyToken: DEMO_META_ACCOUNT.verifyToken,
        },
        senders: [],
      };
  }
}

/** Links as a preview has them: those of a delivery name its message. */
export function withoutTokens(text: string): string {
  return text.replace(/\/t\/([cou])\/[\w-]{46}/g, '/t/$1/preview');
}
