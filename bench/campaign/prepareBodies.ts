import { once } from 'node:events';
import { closeSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { createServer } from 'node:http';
import path from 'node:path';
import { createAccountSenders } from '../../activities/messages/accountSenders';
import { createRunContents } from '../../activities/messages/runContent';
import { createSendDispatch } from '../../activities/messages/sendDispatch';
import type { ActivityDeps } from '../../activities/deps';
import { createCampaignWorkflows } from '../../clients/campaigns';
import { newId } from '../../lib/ids';
import { startLlm } from '../../gateway/start';
import { createLogger } from '../../lib/logger';
import { createSealing, parseSealingKeys } from '../../lib/sealing';
import { createLlmProviders } from '../../providers/llm';
import { createTrackingTokens } from '../../lib/trackingTokens';
import { claimDispatch } from '../../models/messages/claims';
import { ensureBenchAccount } from './account';
import type { BenchTenant } from './customers';
import { publicUrl, sealingKeys, trackingSecret, type BenchGround } from './ground';
import { closeRun, writePlannedRun } from './runs';

/** Where the prepared bodies lie, one behind the other, and which dispatch's begins where. */
export interface PreparedBodies {
  file: string;
  indexFile: string;
  bytes: number;
}

/** One body in the file, and whom it is for. */
export interface BodyPlace {
  dispatchN: number;
  messageNs: number[];
  /** The sum of their addresses' hashes, which the gate asks for. */
  addresses: number;
  offset: number;
  length: number;
}

/**
 * Sends a whole run through the product's own steps to a server that keeps what arrives: the very
 * bytes the product sends. Runs of the same tenant plan alike, so these bodies serve for all of them.
 */
export async function prepareBodies(
  ground: BenchGround,
  tenant: BenchTenant,
): Promise<PreparedBodies> {
  const file = path.join(ground.folder, `bodies-${tenant.customers}.bin`);
  const indexFile = `${file}.json`;
  const bodies = new Map<number, { offset: number; length: number }>();
  const output = openSync(file, 'w');
  let offset = 0;
  const keeper = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks);
      const dispatchN = Number(/"carillon_d":"(\d+)\./.exec(body.toString('latin1'))?.[1]);
      writeSync(output, body);
      bodies.set(dispatchN, { offset, length: body.length });
      offset += body.length;
      response.writeHead(202, { 'x-message-id': newId() }).end();
    });
  });
  keeper.listen(0, '127.0.0.1');
  await once(keeper, 'listening');
  const address = keeper.address();
  const port = typeof address === 'object' && address !== null ? address.port : 0;
  let runId: string;
  try {
    runId = await sendAll(ground, tenant, `http://127.0.0.1:${port}`);
  } finally {
    closeSync(output);
    keeper.closeAllConnections();
    keeper.close();
  }
  writeFileSync(indexFile, JSON.stringify(await placesOf(ground, runId, bodies)));
  return { file, indexFile, bytes: offset };
}

async function placesOf(
  { db }: BenchGround,
  runId: string,
  bodies: ReadonlyMap<number, { offset: number; length: number }>,
): Promise<BodyPlace[]> {
  const found = await db.raw(
    `select m.dispatch_n as "dispatchN", array_agg(m.n order by m.n) as "messageNs",
            sum(hashtext(c.email)) as addresses
       from messages m join customers c on c.id = m.customer_id
      where m.run_id = ? group by m.dispatch_n`,
    [runId],
  );
  const rows: { dispatchN: number; messageNs: number[]; addresses: number }[] = found.rows;
  return rows.flatMap((row) => {
    const body = bodies.get(row.dispatchN);
    return body === undefined ? [] : [{ ...row, ...body }];
  });
}

async function sendAll(ground: BenchGround, tenant: BenchTenant, baseUrl: string): Promise<string> {
  const { db } = ground;
  const sealing = createSealing(parseSealingKeys(sealingKeys));
  await ensureBenchAccount(db, baseUrl);
  const senders = createAccountSenders({
    db,
    sealing,
    timeoutMs: 15_000,
    publicUrl,
    onlyPublic: false,
  });
  const logger = createLogger({ name: 'bench', level: 'warn' });
  const deps: ActivityDeps = {
    db,
    logger,
    llm: startLlm(
      {
        db,
        sealing,
        logger,
        metrics: null,
        onlyPublic: false,
        tell: { stateChanged: () => undefined, wanted: () => undefined },
      },
      { when: 'asked' },
    ),
    senders,
    llmProviders: createLlmProviders({ onlyPublic: false }),
    llmRetention: { callDays: 400, transitionDays: 90 },
    healthNews: () => undefined,
    ensureKeyrings: () => Promise.resolve(),
    sealing,
    trackingTokens: createTrackingTokens([{ id: 1, secret: trackingSecret }]),
    publicUrl,
    leaseMs: 60_000,
    sliceMs: 30_000,
    ...createCampaignWorkflows(ground.temporal),
  };
  const sendDispatch = createSendDispatch(deps);
  const { run, plan } = await writePlannedRun(db, tenant, { isEnded: false });
  const mail = await createRunContents(deps)(tenant.tenantId, run.id);
  const sender = await senders.of(tenant.tenantId, mail.accountId);
  const { batch } = sender;
  if (mail.channel !== 'email' || batch === null) {
    throw new Error('Preparing bodies needs mail by calls of many');
  }
  const slice = { workflowRunId: newId(), activityId: 'prepare', attempt: 1 };
  const { signal } = new AbortController();
  for (const { planVersion, n } of plan.waves) {
    const wave = { tenantId: tenant.tenantId, runId: run.id, planVersion, waveN: n };
    for (;;) {
      const claim = await claimDispatch(db, wave, slice, deps.leaseMs);
      if (claim.kind === 'none') {
        break;
      }
      if (claim.kind !== 'claimed') {
        throw new Error(`Preparing bodies, a wave answers ${claim.kind}`);
      }
      const sent = await sendDispatch({
        wave,
        dispatch: claim.dispatch,
        mail,
        sender,
        batch,
        signal,
      });
      if (sent.accepted !== claim.dispatch.messageCount) {
        throw new Error(`Preparing bodies, ${sent.accepted} of a dispatch were accepted`);
      }
    }
  }
  await closeRun(db, run);
  return run.id;
}
