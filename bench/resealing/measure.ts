import { randomBytes } from 'node:crypto';
import { readFileSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { setTimeout as wait } from 'node:timers/promises';
import { acrossTenants, withTenant } from '../../models/base';
import { countSealed } from '../../models/identity/resealing';
import { until } from '../../tests/support/conditions';
import { writeSealedAccounts, type SealedAccount } from '../../tests/support/sealedAccounts';
import { tokenFor } from '../../tests/support/tokens';
import { resealingWorkflowId } from '../../workflows/identity/resealing';
import { startProcessGround, type ProcessGround } from '../chaos/ground';
import { readEnd, restOfRows } from './end';
import { addFigures, createFleet, openerFigures, type Fleet, type Member } from './fleet';
import type { OpenerFigures } from './opener';
import type { ResealOptions } from './options';
import { startTraffic, type Traffic } from './traffic';

export interface ResealFigures {
  rows: number;
  /** Rows that nobody changed and that are sealed with the new key at the end. */
  resealed: number;
  /** Values that were opened meanwhile, by all processes. */
  opens: number;
  unreadable: number;
  changedMeanwhile: number;
  /** Changes that somebody made and that are not there any more. */
  lostChanges: number;
  /** Envelopes of the old key at the end. */
  oldLeft: number;
  /** Rows of which something other than the envelope has changed, though nobody changed them. */
  otherwiseChanged: number;
  seconds: number;
  /** What failed that has nothing to do with keys; there should be nothing. */
  failures: string[];
}

type Tell = (text: string) => void;

const newId = 'new';
const killedAtShare = 0.2;

/**
 * Replaces the sealing key under traffic as a rolling deploy does: processes that know the new key
 * behind the old one, then such that seal with it beside them, workers killed in the middle, then
 * none that seals with the old one, then one that has the new key alone.
 */
export async function measureResealing(options: ResealOptions, tell: Tell): Promise<ResealFigures> {
  const newKey = (id: string) => `${id}:${randomBytes(32).toString('base64')}`;
  const [oldKeys, newKeys] = [newKey('old'), newKey(newId)];
  tell('starting Postgres, Temporal and the sandbox');
  const ground = await startProcessGround({
    workers: 0,
    isApiIdle: true,
    leaseMs: 60_000,
    providerTimeoutMs: 15_000,
    sliceMs: 30_000,
    sealingKeys: `${oldKeys},${newKeys}`,
    keep: options.keep,
  });
  try {
    return await measure({
      ground,
      options,
      tell,
      oldFirst: `${oldKeys},${newKeys}`,
      newFirst: `${newKeys},${oldKeys}`,
      newAlone: newKeys,
    });
  } finally {
    await ground.stop();
  }
}

interface Run {
  ground: ProcessGround;
  options: ResealOptions;
  tell: Tell;
  oldFirst: string;
  newFirst: string;
  newAlone: string;
}

async function measure(run: Run): Promise<ResealFigures> {
  const { ground, options, tell } = run;
  tell(`sealing ${options.rows} accounts of ${options.tenants} tenants with the old key`);
  const accounts = await writeSealedAccounts(ground.db, ground.sealing, {
    accounts: options.rows,
    tenants: options.tenants,
    baseUrl: ground.sandboxUrl,
  });
  accounts.sort((a, b) => (a.id < b.id ? -1 : 1));
  const before = await restOfRows(ground);
  const file = path.join(ground.folder, 'accounts.json');
  writeFileSync(file, JSON.stringify(accounts));
  const tokens = new Map<string, string>();
  for (const tenantId of new Set(accounts.map((account) => account.tenantId))) {
    tokens.set(tenantId, await tokenFor(ground, tenantId));
  }
  const fleet = createFleet(run, file);
  const apis: Member[] = [];
  const progress = { sealedNew: 0 };
  const traffic = startTraffic({
    urls: () => apis.map(({ url }) => url),
    accounts,
    tokens,
    requestsPerSecond: options.requests,
    frontier: () => progress.sealedNew,
  });
  try {
    const changed = await changeKeys({ run, accounts, fleet, apis, traffic, progress });
    await traffic.stop();
    const opened = addFigures([...changed.earlier, ...(await openerFigures(changed.openers))]);

    tell('step 4: a process that has the new key alone opens everything');
    const last = await openAlone(run, fleet);
    const end = await readEnd({ ground, newAlone: run.newAlone, accounts, traffic, before });
    return {
      rows: options.rows,
      resealed: end.resealed,
      opens: opened.opens + traffic.figures.opens + last.opens,
      unreadable: opened.unreadable + traffic.figures.unreadable + last.unreadable + end.unreadable,
      changedMeanwhile: traffic.figures.changes,
      lostChanges: end.lostChanges,
      oldLeft: await sealedWith(ground, 'old'),
      otherwiseChanged: end.otherwiseChanged,
      seconds: Math.round(changed.seconds * 10) / 10,
      failures: [
        ...opened.failures,
        ...traffic.figures.failures,
        ...last.failures,
        ...(last.opens === options.rows ? [] : [`the new key alone opened ${last.opens} values`]),
      ],
    };
  } finally {
    await traffic.stop();
  }
}

interface KeyChange {
  run: Run;
  accounts: readonly SealedAccount[];
  fleet: Fleet;
  /** The API processes that are asked now. */
  apis: Member[];
  traffic: Traffic;
  progress: { sealedNew: number };
}

/** Steps 1 to 3 of OPERATIONS.md, with the worst that can come between. */
async function changeKeys({ run, accounts, fleet, apis, traffic, progress }: KeyChange) {
  const { ground, options, tell } = run;
  tell('step 1: processes that have the new key behind the old one');
  const oldApi = await fleet.start('api-1', run.oldFirst);
  const oldOpener = await fleet.start('opener-1', run.oldFirst);
  const oldWorker = await fleet.start('worker-1', run.oldFirst);
  apis.push(oldApi);
  await until(
    'the first requests',
    () => {
      const [failure] = traffic.figures.failures;
      if (failure !== undefined) {
        throw new Error(failure);
      }
      return traffic.figures.opens > 10;
    },
    startMs,
  );

  tell('step 2: processes beside them that seal with the new key; the worker begins to seal again');
  const startedAtMs = performance.now();
  const look = async () => (progress.sealedNew = await sealedWith(ground, newId));
  apis.push(await fleet.start('api-2', run.newFirst));
  const openers = [await fleet.start('opener-2', run.newFirst)];
  const holder = holdRow(ground, accounts.at(-1));
  try {
    const newWorker = await fleet.start('worker-2', run.newFirst);
    const enough = options.rows * killedAtShare;
    await until('a part to be sealed again', async () => (await look()) > enough, resealMs);
    tell(`kill -9 of both workers, with ${progress.sealedNew} values of the new key`);
    await Promise.all([oldWorker, newWorker].map(({ process }) => process.kill9()));
    const more = Math.min((await look()) + 100, options.rows - 10);
    await Promise.all([oldWorker, newWorker].map(({ process }) => process.start()));
    await until('resealing to go on', async () => (await look()) > more, resealMs);
  } finally {
    await holder.release();
  }
  const { workflow } = ground.temporal.client;
  const result = await workflow.getHandle(resealingWorkflowId(newId)).result();
  tell(`the resealing that was cut short has ended: ${JSON.stringify(result)}`);

  tell('the processes of step 1 make way for ones that seal with the new key');
  apis.splice(0, 1, await fleet.start('api-3', run.newFirst));
  await until('its last answer', () => traffic.underWay(oldApi.url) === 0);
  openers.push(await fleet.start('opener-3', run.newFirst));
  const earlier = await openerFigures([oldOpener]);
  await Promise.all([oldApi, oldOpener, oldWorker].map((each) => each.process.stop()));
  await fleet.start('worker-3', run.newFirst);

  tell('step 3: npm run reseal');
  await reseal(run);
  return { earlier, openers, seconds: (performance.now() - startedAtMs) / 1_000 };
}

const startMs = 60_000;
const resealMs = 600_000;

async function openAlone({ newAlone }: Run, fleet: Fleet): Promise<OpenerFigures> {
  const alone = await fleet.start('opener-4', newAlone, '--rate=0');
  return until(
    'everything to be opened',
    async () => {
      const [figures] = await openerFigures([alone]);
      return figures?.hasOpenedAll === true && figures;
    },
    resealMs,
  );
}

/** Somebody's transaction on a row, so that resealing is not over before workers are killed. */
function holdRow(ground: ProcessGround, account: SealedAccount | undefined) {
  if (account === undefined) {
    throw new Error('There is no row to hold');
  }
  let isHeld = true;
  const held = withTenant(ground.db, account.tenantId, async (trx) => {
    await trx('provider_accounts').where({ id: account.id }).forUpdate();
    while (isHeld) {
      await trx.raw('select 1');
      await wait(200);
    }
  });
  held.catch(() => undefined);
  return {
    async release() {
      isHeld = false;
      await held;
    },
  };
}

async function sealedWith({ db }: ProcessGround, keyId: string): Promise<number> {
  const counts = await acrossTenants(db, 'resealing', countSealed);
  return counts
    .filter((count) => count.name === 'providerAccounts' && count.keyId === keyId)
    .reduce((sum, { values }) => sum + values, 0);
}

// The operator's command ends with 0 only when nothing is left of other keys.
async function reseal({ ground, newFirst, tell }: Run): Promise<void> {
  const { process: command } = await ground.another({
    name: 'reseal',
    script: 'workers/reseal',
    portVariable: 'WORKER_PORT',
    environment: { SEALING_KEYS: newFirst },
  });
  const code = await command.finish();
  tell(readFileSync(path.join(ground.folder, 'reseal.log'), 'utf8').trimEnd());
  if (code !== 0) {
    throw new Error(`npm run reseal ended with ${code}`);
  }
}
