import type { KeyExplained } from '../../../domain/llm/keyrings/explain';
import { keyringStatusQuery, keyringWorkflowId } from '../../../workflows/llm/messages';
import type { keyring } from '../../../workflows/llm/keyring';
import type { OpenRouterCall } from '../../../sandbox/openrouter/calls';
import type { FaultRule } from '../../../sandbox/openrouter/faults';
import { newId } from '../../../lib/ids';
import { startCampaignGround, type CampaignGround } from '../../support/campaignGround';
import { insertLlmAccount, insertLlmKey } from '../../support/llm';
import type { Knex } from '../../../lib/db';

const secretOf = (label: string) => `sk-or-v1-${label.padEnd(60, 'x')}`;

export interface KeyringGround extends CampaignGround {
  admin: Knex;
}

/** How many accounts with three keys each the vendor knows: every test takes one. */
export const vendorAccounts = Array.from({ length: 40 }, (_, n) => ({
  id: `a${n}`,
  creditMicros: 20_000_000,
  managementKey: secretOf(`a${n}-management`),
  keys: [1, 2, 3].map((key) => ({ secret: secretOf(`a${n}-${key}`), label: `a${n}-${key}` })),
}));

/** A worker, and a vendor of models with accounts to take. */
export async function startKeyringGround(): Promise<KeyringGround> {
  const ground = await startCampaignGround({ sandbox: { openRouterAccounts: vendorAccounts } });
  const admin = ground.db;
  await insertModels(admin);
  await ground.startWorker();
  return Object.assign(ground, { admin });
}

/** An account of ours with its keys, as the vendor has them. */
export interface TestAccount {
  /** The vendor's. */
  vendorId: string;
  accountId: string;
  tenantId: string | null;
  keyIds: string[];
  /** By what the vendor calls them, in the same order. */
  labels: string[];
  managementSecret: string;
  secrets: string[];
}

let taken = 0;

/** The next account of the vendor, of a pool of its own unless told otherwise. */
export async function takeAccount(
  { admin, sandbox }: Pick<KeyringGround, 'admin' | 'sandbox'>,
  options: { tenantId: string | null; hasManagementKey?: boolean },
): Promise<TestAccount> {
  const { tenantId, hasManagementKey = true } = options;
  const vendor = vendorAccounts[taken];
  if (vendor === undefined) {
    throw new Error('The vendor has no more accounts for tests');
  }
  taken += 1;
  const accountId = await insertLlmAccount(admin, {
    baseUrl: `${sandbox.url}/openrouter/api/v1`,
    tenantId,
    name: `Acme ${vendor.id}`,
    ...(hasManagementKey ? { managementKey: vendor.managementKey } : {}),
  });
  const keyIds: string[] = [];
  for (const { secret, label } of vendor.keys) {
    keyIds.push(await insertLlmKey(admin, { accountId, secret, label, tenantId }));
  }
  return {
    vendorId: vendor.id,
    accountId,
    tenantId,
    keyIds,
    labels: vendor.keys.map(({ label }) => label),
    managementSecret: vendor.managementKey,
    secrets: vendor.keys.map(({ secret }) => secret),
  };
}

export function handleOf({ temporal }: CampaignGround, { accountId }: { accountId: string }) {
  return temporal.client.workflow.getHandle<typeof keyring>(keyringWorkflowId(accountId));
}

/** How the keyring of an account says that its keys stand. */
export async function keyStatusesOf(
  ground: CampaignGround,
  account: { accountId: string },
): Promise<readonly KeyExplained[]> {
  const status = await handleOf(ground, account).query(keyringStatusQuery);
  return status?.keys ?? [];
}

/** What goes wrong at the vendor from now on. */
export async function setFaults(
  { sandbox }: Pick<CampaignGround, 'sandbox'>,
  rules: FaultRule[],
): Promise<void> {
  await send(`${sandbox.url}/api/openrouter/faults`, 'PUT', rules);
}

/** What is left of a vendor's account. */
export async function setCredit(
  { sandbox }: Pick<CampaignGround, 'sandbox'>,
  vendorId: string,
  creditMicros: number,
): Promise<void> {
  await send(`${sandbox.url}/api/openrouter/accounts/${vendorId}`, 'PUT', { creditMicros });
}

/** Changes a key at the vendor. */
export async function changeVendorKey(
  { sandbox }: Pick<CampaignGround, 'sandbox'>,
  label: string,
  change: { isRevoked?: boolean; limitMicros?: number | null; limitReset?: 'daily' | null },
): Promise<void> {
  await send(`${sandbox.url}/api/openrouter/keys/${label}`, 'PUT', change);
}

/** Makes a key at the vendor. */
export async function addVendorKey(
  { sandbox }: Pick<CampaignGround, 'sandbox'>,
  vendorId: string,
  key: { secret: string; label: string },
): Promise<void> {
  await send(`${sandbox.url}/api/openrouter/accounts/${vendorId}/keys`, 'POST', key);
}

/** What was asked of the vendor with these keys. */
export async function callsOf(
  { sandbox }: Pick<CampaignGround, 'sandbox'>,
  labels: readonly string[],
  path?: OpenRouterCall['path'],
): Promise<OpenRouterCall[]> {
  const page = await fetch(`${sandbox.url}/api/openrouter/calls?limit=100000`);
  const { items: calls }: { items: OpenRouterCall[] } = JSON.parse(await page.text());
  return calls.filter(
    ({ key, path: asked }) =>
      key !== null && labels.includes(key) && (path === undefined || path === asked),
  );
}

/** How a key or an account stands by its calls, if not well. */
export async function healthOf(
  admin: Knex,
  subject: { keyId: string } | { accountId: string; scope: 'account' },
  // Rows of tests are whatever the assertions expect of them.
  // oxlint-disable-next-line typescript/no-explicit-any
): Promise<any> {
  const where =
    'keyId' in subject
      ? { key_id: subject.keyId }
      : { account_id: subject.accountId, scope: subject.scope };
  const [row] = await admin('llm_health').where(where);
  return row;
}

/** What a catalogue says of three models; only one of them is the vendor’s. */
export async function insertModels(admin: Knex): Promise<void> {
  for (const [id, price] of [
    ['acme/dear', 9_000_000],
    ['openai/gpt-4o-mini', 150_000],
    ['acme/free:free', 0],
  ] as const) {
    await insertModel(admin, id, price);
  }
}

/** A model that costs as much, in micros for a million tokens. */
export async function insertModel(admin: Knex, id: string, price: number): Promise<void> {
  const snapshot = newId();
  await admin('llm_price_snapshots').insert({
    id: snapshot,
    model: id,
    prompt_micros_per_million: price,
    completion_micros_per_million: price,
    cached_micros_per_million: price,
    request_micros: 0,
    image_micros: 0,
  });
  await admin('llm_models').insert({
    id,
    name: id,
    context_tokens: 8_000,
    input_modalities: ['text'],
    output_modalities: ['text'],
    parameters: [],
    price_snapshot_id: snapshot,
  });
}

async function send(url: string, method: string, body: unknown): Promise<void> {
  const answer = await fetch(url, {
    method,
    headers: { 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  if (!answer.ok) {
    throw new Error(`${url} answered ${answer.status}: ${await answer.text()}`);
  }
  await answer.arrayBuffer();
}
