import { existsSync, readFileSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import path from 'node:path';
import { z } from 'zod';
import { createDatabase, type Knex } from '../../../lib/db';
import { hashPassword } from '../../../lib/passwords';
import { acrossTenants } from '../../../models/base';
import { findUserByEmail } from '../../../models/identity/accounts';
import { makePlatformAdmin } from '../../../models/identity/admins';
import { waitUntil } from '../dataFolder';
import { projectRoot } from '../ourScript';
import type { Output } from '../output';
import type { Plan } from '../plan';
import { writePrivately, type Secrets } from '../secrets';
import { createApiCaller, type ApiCaller } from './apiCaller';
import { addModelKeys, setAsideModelKeys } from './modelKeys';
import { demoCampaigns, type DemoCampaign } from './campaigns';

const DemoFacts = z.object({
  email: z.string(),
  password: z.string(),
  /** Of the platform's admin, who has the same password; older demos have none. */
  adminEmail: z.string().optional(),
  campaigns: z.array(z.object({ id: z.string(), name: z.string() })),
  /** Whether the platform was given keys of the sandbox's OpenRouter; older demos were not. */
  hasModelKeys: z.boolean().optional(),
});

/** What the closing table tells of the demo. */
export type DemoFacts = z.output<typeof DemoFacts>;

const demoEmail = 'owner@demo.carillon.test';
const demoAdminEmail = 'admin@demo.carillon.test';
const importTimeoutMs = 120_000;

/**
 * On the first start, makes the demo tenant through the public API: its owner, 2,000 imported
 * customers and two campaigns. Killed in between, the next start goes on where it was: every step
 * looks first at what is there. Answers undefined where there is no demo.
 */
export async function seedDemo(options: {
  plan: Plan;
  secrets: Secrets;
  databaseUrl: string;
  output: Output;
}): Promise<DemoFacts | undefined> {
  const { plan, output } = options;
  const factsFile = path.join(plan.dataDir, 'demo.json');
  const stored = existsSync(factsFile)
    ? DemoFacts.parse(JSON.parse(readFileSync(factsFile, 'utf8')))
    : undefined;
  const known = plan.hasOwnModelKeys
    ? await withoutModelKeys(stored, { ...options, factsFile })
    : stored;
  if (known?.hasModelKeys === true) {
    return known;
  }
  // Without the sandbox 2,000 letters to people who do not exist would really leave.
  if (!plan.options.demo || !plan.hasSandbox) {
    return known;
  }
  if (known === undefined && (await belongsToOthers(options.databaseUrl))) {
    return undefined;
  }
  try {
    const tenant = known ?? (await seed(plan, options.secrets, output));
    const adminEmail = await makeDemoAdmin(options.databaseUrl, options.secrets);
    if (!plan.hasOwnModelKeys) {
      const admin = { email: adminEmail, password: options.secrets.demoPassword };
      await seedModelKeys(plan, admin, output);
    }
    const facts = { ...tenant, adminEmail, hasModelKeys: !plan.hasOwnModelKeys };
    writeFacts(factsFile, facts);
    return facts;
  } catch (error) {
    // Everything else works without it; the next start tries again.
    const reason = error instanceof Error ? error.message : String(error);
    output.say('start', `the demo could not be seeded: ${reason}`, 'warn');
    return known;
  }
}

// They are given anew once no real ones are configured any more.
async function withoutModelKeys(
  stored: DemoFacts | undefined,
  options: { databaseUrl: string; output: Output; factsFile: string },
): Promise<DemoFacts | undefined> {
  const { databaseUrl, output, factsFile } = options;
  const facts = stored === undefined ? undefined : { ...stored, hasModelKeys: false };
  if (facts !== undefined && stored?.hasModelKeys === true) {
    // First: keys that are still there when this is read are given once more, which changes nothing.
    writeFacts(factsFile, facts);
  }
  try {
    const count = await setAsideModelKeys(databaseUrl);
    if (count > 0) {
      output.say('start', `${count} keys of the demo's models revoked: real ones are configured`);
    }
  } catch (error) {
    // The next start tries again.
    const reason = error instanceof Error ? error.message : String(error);
    output.say('start', `the demo's keys of models could not be revoked: ${reason}`, 'warn');
  }
  return facts;
}

function writeFacts(factsFile: string, facts: DemoFacts): void {
  writePrivately(factsFile, `${JSON.stringify(facts, null, 2)}\n`);
}

async function seed(plan: Plan, secrets: Secrets, output: Output): Promise<DemoFacts> {
  const api = createApiCaller(`http://127.0.0.1:${plan.ports.api}/api/v1`);
  const account = { email: demoEmail, password: secrets.demoPassword };
  output.say('start', 'first start: seeding the demo tenant');
  api.useToken(await signIn(api, account));
  await importCustomers(api, output);
  const campaigns: DemoFacts['campaigns'] = [];
  for (const campaign of demoCampaigns(new Date())) {
    campaigns.push(await startCampaign(api, campaign));
    output.say('start', `campaign "${campaign.body.name}" is scheduled`);
  }
  return { ...account, campaigns };
}

async function seedModelKeys(
  plan: Plan,
  admin: { email: string; password: string },
  output: Output,
): Promise<void> {
  const api = createApiCaller(`http://127.0.0.1:${plan.ports.api}/api/v1`);
  const session = await api.call({ method: 'POST', path: '/auth/login', body: admin }, Session);
  api.useToken(session.accessToken);
  const added = await addModelKeys(api, `http://127.0.0.1:${plan.ports.sandbox}`);
  output.say('start', `${added} keys of language models added`);
}

const Session = z.object({ accessToken: z.string() });

async function signIn(
  api: ApiCaller,
  account: { email: string; password: string },
): Promise<string> {
  const session = await api.callUnless(
    [401],
    { method: 'POST', path: '/auth/login', body: account },
    Session,
  );
  if (session !== undefined) {
    return session.accessToken;
  }
  const registered = await api.call(
    {
      method: 'POST',
      path: '/auth/register',
      body: {
        ...account,
        companyName: 'Bell & Brass (demo)',
        firstName: 'Demo',
        lastName: 'Owner',
        timeZone: 'Europe/Berlin',
        language: 'en',
      },
    },
    Session,
  );
  return registered.accessToken;
}

const Import = z.object({ id: z.string(), state: z.string() });

async function importCustomers(api: ApiCaller, output: Output): Promise<void> {
  const csv = await readFile(path.join(projectRoot, 'workers/launch/demo/customers.csv'));
  const wanted = csv.toString().trimEnd().split('\n').length - 1;
  if ((await api.count('/customers?perPage=1')) >= wanted) {
    return;
  }
  const form = new FormData();
  form.append('file', new Blob([csv], { type: 'text/csv' }), 'customers.csv');
  const started = await api.call({ method: 'POST', path: '/customers/upload', form }, Import);
  let { state } = started;
  await waitUntil(async () => {
    if (state === 'running') {
      const now = await api.call({ method: 'GET', path: `/imports/${started.id}` }, Import);
      state = now.state;
    }
    return state !== 'running';
  }, importTimeoutMs);
  const total = await api.count('/customers?perPage=1');
  if (state !== 'completed' || total < wanted) {
    throw new Error(`the import is ${state} with ${total} of ${wanted} customers`);
  }
  output.say('start', `${total} customers imported`);
}

const Campaign = z.object({ id: z.string(), name: z.string(), status: z.string() });

async function startCampaign(
  api: ApiCaller,
  campaign: DemoCampaign,
): Promise<{ id: string; name: string }> {
  const existing = await api.call(
    { method: 'GET', path: '/campaigns?perPage=200' },
    z.array(Campaign),
  );
  const found =
    existing.find(({ name }) => name === campaign.body.name) ??
    (await api.call(
      { method: 'POST', path: '/campaigns', body: campaign.body, key: campaign.key },
      Campaign,
    ));
  if (found.status === 'draft') {
    await api.call(
      {
        method: 'POST',
        path: `/campaigns/${found.id}/schedule`,
        // No key: it says another minute when it is repeated, and only a draft is scheduled.
        body: { schedule: campaign.schedule },
      },
      z.unknown(),
    );
  }
  return { id: found.id, name: found.name };
}

// There is no way to an admin through the API, and none by mail where the mail stays here.
async function makeDemoAdmin(databaseUrl: string, { demoPassword }: Secrets): Promise<string> {
  const passwordHash = await hashPassword(demoPassword);
  const db = createDatabase({ url: databaseUrl, applicationName: 'carillon-demo', poolMax: 1 });
  try {
    const admin = { email: demoAdminEmail, passwordHash, expiresAt: null, mayPromote: false };
    await acrossTenants(db, 'identity', (trx) => makePlatformAdmin(trx, admin));
    return demoAdminEmail;
  } finally {
    await db.destroy();
  }
}

// Somebody's own database is no place for a demo.
async function belongsToOthers(databaseUrl: string): Promise<boolean> {
  const db = createDatabase({ url: databaseUrl, applicationName: 'carillon-demo', poolMax: 1 });
  try {
    const owner = await findUserByEmail(db, demoEmail);
    return owner === null && (await acrossTenants(db, 'identity', isAnybodyThere));
  } finally {
    await db.destroy();
  }
}

async function isAnybodyThere(trx: Knex.Transaction): Promise<boolean> {
  const found = await trx('tenants').where({ is_platform: false }).select('id').limit(1);
  return found.length > 0;
}
