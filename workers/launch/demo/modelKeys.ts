import { z } from 'zod';
import {
  DEMO_OPENROUTER_ACCOUNTS,
  type OpenRouterSandboxAccount,
} from '../../../sandbox/openrouter/accounts';
import { createDatabase, type Knex } from '../../../lib/db';
import { hasNoKeysBut, setAsideKeys } from '../../../models/llm/configuredKeys';
import type { ApiCaller } from './apiCaller';

const Named = z.array(z.object({ id: z.string(), name: z.string() }));
const Created = z.object({ id: z.string() });

/**
 * Gives the platform the sandbox's accounts and keys at OpenRouter, as its admin would by hand; what is
 * there already stays. Answers how many keys it added.
 */
export async function addModelKeys(admin: ApiCaller, sandboxUrl: string): Promise<number> {
  let added = 0;
  for (const account of DEMO_OPENROUTER_ACCOUNTS) {
    const accountId = await addAccount(admin, account, sandboxUrl);
    for (const { label, secret } of account.keys) {
      // 409: it is here already, whatever people call it now.
      const key = await admin.callUnless(
        [409],
        { method: 'POST', path: '/admin/llm/keys', body: { accountId, label, secret } },
        Created,
      );
      added += key === undefined ? 0 : 1;
    }
  }
  return added;
}

const secrets = DEMO_OPENROUTER_ACCOUNTS.flatMap(({ keys }) => keys.map(({ secret }) => secret));

/**
 * Revokes the sandbox's keys that an earlier demo gave the platform: where real ones are configured,
 * what people ask is not to be answered by a stand-in. Answers how many there were.
 */
export function setAsideModelKeys(databaseUrl: string): Promise<number> {
  return withDatabase(databaseUrl, (db) =>
    setAsideKeys(db, secrets, 'Of the demo: real keys are configured'),
  );
}

/** Whether nothing the platform is asked can reach a model that costs money. */
export function hasModelKeysOfDemoAlone(databaseUrl: string): Promise<boolean> {
  return withDatabase(databaseUrl, (db) => hasNoKeysBut(db, secrets));
}

async function withDatabase<T>(url: string, work: (db: Knex) => Promise<T>): Promise<T> {
  const db = createDatabase({ url, applicationName: 'carillon-demo', poolMax: 1 });
  try {
    return await work(db);
  } finally {
    await db.destroy();
  }
}

async function addAccount(
  admin: ApiCaller,
  { id, managementKey }: OpenRouterSandboxAccount,
  sandboxUrl: string,
): Promise<string> {
  const name = `${id.charAt(0).toUpperCase()}${id.slice(1)}`;
  const listed = await admin.call(
    { method: 'GET', path: '/admin/llm/accounts?perPage=200' },
    Named,
  );
  const found = listed.find((account) => account.name === name);
  if (found !== undefined) {
    return found.id;
  }
  const body = {
    name,
    vendor: 'openrouter',
    baseUrl: `${sandboxUrl}/openrouter/api/v1`,
    managementKey,
  };
  const account = await admin.call({ method: 'POST', path: '/admin/llm/accounts', body }, Created);
  return account.id;
}
