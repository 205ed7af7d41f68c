import { once } from 'node:events';
import path from 'node:path';
import { plannedLanes } from '../../domain/campaigns/lanes';
import { newId } from '../../lib/ids';
import { createSealing, parseSealingKeys } from '../../lib/sealing';
import { withTenant } from '../../models/base';
import type { NewAccountValues } from '../../models/messages/accountCredentials';
import { createProviderAccount, makeDefault } from '../../models/messages/accounts';
import { workerNodeFlags } from '../../workers/launch/ourScript';
import type { BareReport } from './bare';
import type { OneByOneOrder } from './bareOneByOne';
import { apiKey } from './content';
import { createTenant, type BenchTenant } from './customers';
import { sealingKeys, startProcess, type BenchGround, type BenchProcess } from './ground';
import { runProduct, type ProductRun } from './product';
import { writePlannedRun } from './runs';
import { countStatements, writeStatements } from './statements';
import { clearSink, readSink } from './sink';
import type { SinkPorts } from './smtpSink';

export const wires = ['json', 'smtp'] as const;
export type Wire = (typeof wires)[number];

/** One call for each message over one wire, beside the bare loop that renders, too. */
export interface OneByOneResult {
  wire: Wire;
  messages: number;
  rounds: { product: ProductRun; barePerSecond: number }[];
}

interface OneByOneOptions {
  messages: number;
  workers: number;
  rounds: number;
  wires: readonly Wire[];
  /** Where to write what statements cost in each round; not given, nobody counts them. */
  profile: string | undefined;
}

const slotsOfWorker = 100;

/** Sends the same campaign one call a message, by HTTP and by SMTP, in turn with the bare loop. */
export async function measureOneByOne(
  ground: BenchGround,
  options: OneByOneOptions,
  tell: (text: string) => void,
): Promise<OneByOneResult[]> {
  const { messages, workers: count, rounds, profile } = options;
  const sink = await startProcess([path.join(ground.dist, 'bench/campaign/smtpSink.js')], {}, null);
  const [ports]: SinkPorts[] = await once(sink.child, 'message');
  if (ports === undefined) {
    throw new Error('The mail sink did not say where it listens');
  }
  const results: OneByOneResult[] = [];
  try {
    for (const wire of options.wires) {
      tell(`one by one over ${wire}: ${messages} customers`);
      const tenant = await createTenant(ground.db, messages);
      const accountId = await openAccount(ground, tenant, accountOf(wire, ground, ports));
      const sinkUrl = wire === 'smtp' ? `http://127.0.0.1:${ports.httpPort}` : ground.sandboxUrl;
      results.push(await measureWire());

      async function measureWire(): Promise<OneByOneResult> {
        const [workers, bare] = await Promise.all([
          ground.startWorkers(count),
          startBare(ground, count),
        ]);
        const result: OneByOneResult = { wire, messages, rounds: [] };
        const sendBare = () => runBare(ground, { tenant, accountId, bare, sinkUrl });
        const sendProduct = async (round: number): Promise<ProductRun> => {
          if (profile === undefined) {
            return runProduct(ground, tenant, workers, sinkUrl);
          }
          await countStatements(ground);
          const product = await runProduct(ground, tenant, workers, sinkUrl);
          await writeStatements(ground, path.join(profile, `${wire}-${round}`));
          return product;
        };
        try {
          for (let round = 0; round <= rounds; round += 1) {
            // By turns the first: whatever gets faster or slower with time does so for both.
            const isBareFirst = round % 2 === 1;
            const bareBefore = isBareFirst ? await sendBare() : null;
            const product = await sendProduct(round);
            const barePerSecond = bareBefore ?? (await sendBare());
            tell(
              `  ${round === 0 ? 'warming up' : `round ${round}`}: product ` +
                `${Math.round(product.messagesPerSecond)}/s, bare loop ${Math.round(barePerSecond)}/s`,
            );
            if (round > 0) {
              result.rounds.push({ product, barePerSecond });
            }
          }
        } finally {
          await Promise.all([...workers, ...bare].map((each) => each.stop()));
        }
        return result;
      }
    }
  } finally {
    await sink.stop();
  }
  return results;
}

function accountOf(wire: Wire, ground: BenchGround, ports: SinkPorts): NewAccountValues {
  const shared = { name: 'One by one', senders: [], active: true };
  return wire === 'json'
    ? {
        ...shared,
        channel: 'email',
        vendor: 'sendgrid',
        settings: { region: 'global', baseUrl: ground.sandboxUrl, messagesPerCall: 1 },
        credentials: { apiKey },
      }
    : {
        ...shared,
        channel: 'email',
        vendor: 'smtp',
        settings: { host: '127.0.0.1', port: ports.smtpPort, security: 'none' },
        credentials: { username: 'bench', password: 'bench' },
      };
}

async function openAccount(
  { db }: BenchGround,
  { tenantId }: BenchTenant,
  values: NewAccountValues,
): Promise<string> {
  const sealing = createSealing(parseSealingKeys(sealingKeys));
  const key = { tenantId, id: newId() };
  await withTenant(db, tenantId, async (trx) => {
    const extra = { createdBy: newId(), limitPerMinute: 0 };
    await createProviderAccount(trx, sealing, key, values, extra);
    await makeDefault(trx, key);
  });
  return key.id;
}

function startBare(ground: BenchGround, count: number): Promise<BenchProcess[]> {
  const args = [
    ...workerNodeFlags,
    path.join(ground.dist, 'bench/campaign/bareOneByOne.js'),
    ground.databaseUrl,
  ];
  return Promise.all(
    Array.from({ length: count }, async () => {
      const bare = await startProcess(args, {}, null);
      await once(bare.child, 'message');
      return bare;
    }),
  );
}

async function runBare(
  ground: BenchGround,
  {
    tenant,
    accountId,
    bare,
    sinkUrl,
  }: { tenant: BenchTenant; accountId: string; bare: BenchProcess[]; sinkUrl: string },
): Promise<number> {
  const { tenantId } = tenant;
  await ground.db.raw('checkpoint');
  const { run, plan } = await writePlannedRun(ground.db, tenant, { isEnded: true });
  await clearSink(sinkUrl);
  const lanes = plan.waves.reduce((sum, wave) => sum + plannedLanes(wave), 0);
  const lanesEach = Math.min(Math.ceil(lanes / bare.length), slotsOfWorker);
  const reports = await Promise.all(
    bare.map(async ({ child }) => {
      const answered = once(child, 'message');
      const order: OneByOneOrder = { tenantId, runId: run.id, accountId, lanes: lanesEach };
      child.send(order);
      const [report]: BareReport[] = await answered;
      return report?.messages ?? 0;
    }),
  );
  const sink = await readSink(sinkUrl);
  const sent = reports.reduce((sum, messages) => sum + messages, 0);
  if (sink.messages !== plan.planned || sent !== plan.planned) {
    throw new Error(
      `The bare loop planned ${plan.planned}, sent ${sent}, ${sink.messages} arrived`,
    );
  }
  return sink.messages / sink.seconds;
}
