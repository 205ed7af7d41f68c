import path from 'node:path';
import { newId } from '../../lib/ids';
import { createSealing, parseSealingKeys } from '../../lib/sealing';
import { withTenant } from '../../models/base';
import { accessTokensOf } from '../../models/identity/signingKeys';
import { createProviderAccount, makeDefault } from '../../models/messages/accounts';
import { testNamespace } from '../../tests/support/temporal';
import { freePort } from '../../workers/launch/ports';
import { apiKey } from '../campaign/content';
import {
  publicUrl,
  sealingKeys,
  startProcess,
  trackingSecret,
  type BenchGround,
  type BenchProcess,
} from '../campaign/ground';
import type { TransactionalTarget } from './measure';
import { insertTenant } from '../../tests/support/records';
import { tokenFor } from '../../tests/support/tokens';

/** What asks for single messages and takes them, beside a benchmark's campaign. */
export interface RunningTarget extends TransactionalTarget {
  processes: BenchProcess[];
  stop(): Promise<void>;
}

/**
 * Starts the API, a process for transactional messages alone, and a stand-in of its own for a new
 * tenant's account: arrivals there are not the campaign's, whose stand-in has its hands full.
 */
export async function startTransactionalTarget(ground: BenchGround): Promise<RunningTarget> {
  const [apiPort, sandboxPort] = [await freePort(), await freePort()];
  const apiUrl = `http://127.0.0.1:${apiPort}`;
  const sandboxUrl = `http://127.0.0.1:${sandboxPort}`;
  const processes = [
    await startProcess(
      [
        path.join(ground.dist, 'sandbox/main.js'),
        `--port=${sandboxPort}`,
        '--mode=inbox',
        `--data-dir=${path.join(ground.folder, 'transactional-inbox')}`,
        `--parent-pid=${process.pid}`,
      ],
      {},
      `${sandboxUrl}/health`,
    ),
    await startProcess(
      [path.join(ground.dist, 'api/server.js')],
      {
        LOG_LEVEL: 'warn',
        DATABASE_URL: ground.appUrl,
        TEMPORAL_ADDRESS: ground.temporalServer.address,
        TEMPORAL_NAMESPACE: testNamespace,
        PUBLIC_URL: publicUrl,
        TRACKING_SECRET: trackingSecret,
        SEALING_KEYS: sealingKeys,
        // One caller posts for many.
        RATE_LIMIT_API_PER_MIN: '0',
        API_PORT: String(apiPort),
        SUPERVISOR_PID: String(process.pid),
      },
      `${apiUrl}/health`,
    ),
    ...(await ground.startWorkers(1, ['--queues=transactional'])),
  ];
  const tenantId = await insertTenant(ground.db, 'UTC', 'The Corner Shop');
  await withTenant(ground.db, tenantId, async (trx) => {
    const key = { tenantId, id: newId() };
    await createProviderAccount(
      trx,
      createSealing(parseSealingKeys(sealingKeys)),
      key,
      {
        vendor: 'sendgrid',
        channel: 'email',
        name: 'Codes',
        settings: { region: 'global', baseUrl: sandboxUrl },
        credentials: { apiKey },
        senders: [],
        active: true,
      },
      { createdBy: newId(), limitPerMinute: 0 },
    );
    await makeDefault(trx, key);
  });
  const accessTokens = accessTokensOf(ground.db, createSealing(parseSealingKeys(sealingKeys)));
  await accessTokens.reload();
  const token = await tokenFor({ db: ground.db, accessTokens }, tenantId);
  accessTokens.close();
  return {
    apiUrl,
    token,
    db: ground.db,
    sandboxUrl,
    processes,
    async stop() {
      await Promise.all(processes.map((each) => each.stop()));
    },
  };
}

/** What bulk workers serve beside such a process. */
export const bulkQueues = '--queues=workflows,records,email';
