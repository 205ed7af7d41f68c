import { createKeyrings } from '../../clients/keyrings';
import { createLogger } from '../../lib/logger';
import { createSealing, parseSealingKeys } from '../../lib/sealing';
import { newId } from '../../lib/ids';
import { hashPassword } from '../../lib/passwords';
import { acrossTenants } from '../../models/base';
import { createAccount } from '../../models/identity/accounts';
import { createLlmAccount } from '../../models/llm/accounts';
import { createLlmKey } from '../../models/llm/keys';
import { saveModels } from '../../models/llm/models';
import { createLlmProviders } from '../../providers/llm';
import { DEMO_OPENROUTER_ACCOUNTS, OPENROUTER_PATH } from '../../sandbox';
import { testNamespace } from '../../tests/support/temporal';
import { sealingKeys, startGround, type BenchGround, type BenchProcess } from '../campaign/ground';
import { startGatewayProcess, type GatewayProcess } from './gatewayProcess';
import { owner } from './owner';
import { createVendor, type Vendor } from './vendor';

const quiet = createLogger({ name: 'bench-llm', level: 'error' });

/** Everything around the gateway: a tenant, six keys over two accounts, models, the vendor. */
export interface LlmGround {
  base: BenchGround;
  tenantId: string;
  vendor: Vendor;
  /** All keys well, as at the start. */
  heal(): Promise<void>;
  startGateways(count: number): Promise<GatewayProcess[]>;
  /** A worker, and the workflows that look after the accounts' keys. */
  startKeyrings(): Promise<BenchProcess>;
  stop(): Promise<void>;
}

export async function startLlmGround(): Promise<LlmGround> {
  const base = await startGround(undefined, { worker: 'workers/main.js' });
  try {
    const tenantId = newId();
    await createAccount(base.db, {
      tenantId,
      userId: newId(),
      companyName: 'Aurora Coffee',
      email: owner.email,
      passwordHash: await hashPassword(owner.password),
      firstName: null,
      lastName: null,
      timeZone: 'UTC',
      language: 'en',
    });
    // All of it costs a few dollars: more than the plan that one begins with.
    await base
      .db('subscriptions')
      .insert({ tenant_id: tenantId, plan: 'professional', status: 'active' })
      .onConflict('tenant_id')
      .merge();
    const vendor = createVendor(base.sandboxUrl, `${base.sandboxUrl}${OPENROUTER_PATH}`);
    await writeKeys(base, vendor);
    await writeModels(base, vendor);
    return {
      base,
      tenantId,
      vendor,
      async heal() {
        await base.db('llm_health').delete();
      },
      startGateways: (count) =>
        Promise.all(
          Array.from({ length: count }, () =>
            startGatewayProcess(base.dist, {
              database: base.appUrl,
              sealing: sealingKeys,
              tenant: tenantId,
              vendor: vendor.baseUrl,
              key: firstKey(),
              temporal: base.temporalServer.address,
              namespace: testNamespace,
            }),
          ),
        ),
      async startKeyrings() {
        const [worker] = await base.startWorkers(1);
        if (!worker) {
          throw new Error('no worker was started');
        }
        const accounts = await base.db('llm_accounts').select('id', 'name');
        const keyrings = createKeyrings(base.temporal, quiet);
        await keyrings.ensure(
          accounts.map(({ id, name }) => ({
            accountId: String(id),
            tenantId: null,
            name: String(name),
            keys: DEMO_OPENROUTER_ACCOUNTS[0]?.keys.length ?? 0,
          })),
        );
        await keyrings.close();
        return worker;
      },
      stop: () => base.stop(),
    };
  } catch (error) {
    await base.stop();
    throw error;
  }
}

async function writeKeys({ db }: BenchGround, { baseUrl }: Vendor): Promise<void> {
  const sealing = createSealing(parseSealingKeys(sealingKeys));
  const createdBy = null;
  await acrossTenants(db, 'platformAdmin', async (trx) => {
    for (const { id: name, managementKey = null, keys } of DEMO_OPENROUTER_ACCOUNTS) {
      const accountId = newId();
      const bounds = { maxConcurrency: null, balanceFloorMicros: 0 };
      const account = { name, vendor: 'openrouter' as const, baseUrl, managementKey, ...bounds };
      await createLlmAccount(
        trx,
        sealing,
        { ownerId: null, id: accountId },
        { ...account, createdBy },
      );
      for (const { label, secret } of keys) {
        const limits = { maxConcurrency: null, allowedModels: null, expiresAt: null };
        const key = { accountId, secret, label, weight: 100, workspace: null, ...limits };
        await createLlmKey(trx, sealing, { ownerId: null, id: newId() }, { ...key, createdBy });
      }
    }
  });
}

async function writeModels({ db }: BenchGround, { baseUrl }: Vendor): Promise<void> {
  const providers = createLlmProviders({ onlyPublic: false });
  const options = { signal: new AbortController().signal, timeoutMs: 5_000 };
  const models = await providers.openrouter.models({ baseUrl, apiKey: firstKey() }, options);
  await acrossTenants(db, 'llmRing', (trx) =>
    saveModels(
      trx,
      models.map((model) => ({ ...model })),
      { preferred: [], isComplete: true },
    ),
  );
  await Promise.all(Object.values(providers).map((provider) => provider.close()));
}

function firstKey(): string {
  return DEMO_OPENROUTER_ACCOUNTS[0]?.keys[0]?.secret ?? '';
}
