import { once } from 'node:events';
import path from 'node:path';
import { newId } from '../../lib/ids';
import { createSealing, parseSealingKeys } from '../../lib/sealing';
import { withTenant } from '../../models/base';
import type { NewAccountValues } from '../../models/messages/accountCredentials';
import { createProviderAccount, makeDefault } from '../../models/messages/accounts';
import { apiKey } from './content';
import type { BenchTenant } from './customers';
import { sealingKeys, startProcess, startSandbox, type BenchGround } from './ground';
import type { SinkPorts } from './smtpSink';

export const wires = ['json', 'smtp'] as const;
export type Wire = (typeof wires)[number];

/** Where the calls of one side arrive, and the account that leads there. */
export interface OneByOneSink {
  accountId: string;
  /** Where it tells what it has counted. */
  url: string;
  stop(): Promise<void>;
}

/** Starts a vendor in a process of its own and opens an account there, which becomes the tenant's default. */
export async function startSink(
  ground: BenchGround,
  { tenantId }: BenchTenant,
  wire: Wire,
): Promise<OneByOneSink> {
  const { url, account, stop } = await starters[wire](ground);
  const key = { tenantId, id: newId() };
  await withTenant(ground.db, tenantId, async (trx) => {
    const sealing = createSealing(parseSealingKeys(sealingKeys));
    const extra = { createdBy: newId(), limitPerMinute: 0 };
    await createProviderAccount(trx, sealing, key, account, extra);
    await makeDefault(trx, key);
  });
  return { accountId: key.id, url, stop };
}

const basics = { name: 'One by one', channel: 'email' as const, senders: [], active: true };

interface StartedSink {
  url: string;
  account: NewAccountValues;
  stop: () => Promise<void>;
}

const starters: Record<Wire, (ground: BenchGround) => Promise<StartedSink>> = {
  async json({ dist }) {
    const { url, process } = await startSandbox(dist);
    return {
      url,
      account: {
        ...basics,
        vendor: 'sendgrid',
        settings: { region: 'global', baseUrl: url, messagesPerCall: 1 },
        credentials: { apiKey },
      },
      stop: () => process.stop(),
    };
  },
  async smtp({ dist }) {
    const sink = await startProcess([path.join(dist, 'bench/campaign/smtpSink.js')], {}, null);
    const [ports]: SinkPorts[] = await once(sink.child, 'message');
    if (ports === undefined) {
      throw new Error('The mail sink did not say where it listens');
    }
    return {
      url: `http://127.0.0.1:${ports.httpPort}`,
      account: {
        ...basics,
        vendor: 'smtp',
        settings: { host: '127.0.0.1', port: ports.smtpPort, security: 'none' },
        credentials: { username: 'bench', password: 'bench' },
      },
      stop: () => sink.stop(),
    };
  },
};
