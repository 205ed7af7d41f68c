import { monitorEventLoopDelay } from 'node:perf_hooks';
import { parseArgs } from 'node:util';
import { createDataConverter } from '../../clients/dataConverter';
import { createKeyrings } from '../../clients/keyrings';
import { createDatabase } from '../../lib/db';
import { createLogger } from '../../lib/logger';
import { createSealing, parseSealingKeys } from '../../lib/sealing';
import { connectTemporal, type Temporal } from '../../lib/temporal';
import { createLlm } from '../../gateway';
import { createDataKeys } from '../../models/identity/dataKeys';
import { measureChoosing, measureNews, measureOverhead, measureThroughput } from './figures';
import { runLoad } from './load';
import { Command, type Reply } from './messages';

const logger = createLogger({ name: 'bench-llm', level: 'error' });

void main().catch((error: unknown) => {
  reply({ did: 'fail', error: error instanceof Error ? (error.stack ?? error.message) : 'failed' });
  process.exitCode = 1;
});

/** One process of the product that uses the gateway as a library, and asks as it is told. */
async function main(): Promise<void> {
  const flags = readFlags();
  const db = createDatabase({ url: flags.database, applicationName: 'carillon-bench-llm' });
  const sealing = createSealing(parseSealingKeys(flags.sealing));
  const temporal = connect(flags.temporal);
  const keyrings = createKeyrings(temporal, logger);
  const llm = await createLlm({
    db,
    sealing,
    logger,
    metrics: null,
    onlyPublic: false,
    tell: keyrings,
  });
  // Whoever started it is gone.
  process.on('disconnect', () => process.exit(1));
  process.on('message', (message: unknown) => {
    void carryOut(Command.parse(message)).then(reply, (error: unknown) =>
      reply({ did: 'fail', error: error instanceof Error ? error.message : 'failed' }),
    );
  });
  reply({ did: 'ready' });

  async function carryOut(command: Command): Promise<Reply> {
    const { gateway, ring } = llm;
    switch (command.do) {
      case 'load':
        return {
          did: 'load',
          ...(await watched(() => runLoad(gateway, flags.tenant, command.plan))),
        };
      case 'choose':
        return { did: 'choose', micros: measureChoosing(ring, flags.tenant, command.rounds) };
      case 'news':
        return { did: 'news', tookMs: await measureNews(db, ring, command.rounds) };
      case 'overhead': {
        const where = { tenantId: flags.tenant, baseUrl: flags.vendor, apiKey: flags.key };
        return { did: 'overhead', overhead: await measureOverhead(gateway, where, command) };
      }
      case 'throughput':
        return { did: 'throughput', ...(await measureThroughput(gateway, flags.tenant, command)) };
      case 'keys': {
        const keys = ring.snapshot().map(({ keyId, state, reason }) => ({ keyId, state, reason }));
        return { did: 'keys', keys };
      }
      case 'stop':
        setImmediate(() => void stop());
        return { did: 'stop' };
    }
  }

  async function stop(): Promise<void> {
    await llm.close();
    await keyrings.close();
    await temporal.connection.close();
    await db.destroy();
    process.exit(0);
  }

  function connect(address: string): Temporal {
    return connectTemporal(
      { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: flags.namespace, TEMPORAL_TLS: false },
      createDataConverter(createDataKeys({ db, sealing, logger })),
    );
  }
}

async function watched<T>(load: () => Promise<T>): Promise<{ outcomes: T; heldUpMs: number }> {
  const delay = monitorEventLoopDelay({ resolution: 5 });
  delay.enable();
  const outcomes = await load();
  delay.disable();
  return { outcomes, heldUpMs: Math.round(delay.max / 1e6) };
}

function readFlags() {
  const { values } = parseArgs({
    options: {
      database: { type: 'string' },
      sealing: { type: 'string' },
      tenant: { type: 'string' },
      vendor: { type: 'string' },
      key: { type: 'string' },
      temporal: { type: 'string' },
      namespace: { type: 'string' },
    },
  });
  const { database, sealing, tenant, vendor, key, temporal, namespace = 'default' } = values;
  if (!database || !sealing || !tenant || !vendor || !key || !temporal) {
    throw new Error('--database, --sealing, --tenant, --vendor, --key, --temporal are needed');
  }
  return { database, sealing, tenant, vendor, key, temporal, namespace };
}

function reply(message: Reply): void {
  process.send?.(message);
}
