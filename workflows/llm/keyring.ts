import {
  allHandlersFinished,
  condition,
  continueAsNew,
  log,
  patched,
  setCurrentDetails,
  setHandler,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import { forecast, keyringDetails, type Forecasts } from '../../domain/llm/keyrings/details';
import {
  explainKey,
  explainKeys,
  worstState,
  type KeyExplained,
} from '../../domain/llm/keyrings/explain';
import { lastsWords } from '../../domain/llm/keyrings/forecast';
import { recalledIds, type KeyringJob, type KeyringMemory } from '../../domain/llm/keyrings/jobs';
import { keyringRules, rulesBefore } from '../../domain/llm/keyrings/rules';
import { keyringWork } from '../../domain/llm/keyrings/work';
import type { KeyringSeen } from '../../domain/llm/keyrings/types';
import { llmBursts, llmProbes, records } from '../proxies';
import { searchAttributes } from '../searchAttributes';
import { summary } from '../summary';
import { listenToAccountWords } from './accountWords';
import {
  explainKeyQuery,
  keyringStatusQuery,
  keyStateChangedSignal,
  wantedSignal,
  type KeyringInput,
  type KeyringStatus,
} from './messages';
import { listenToWords } from './words';

// Whoever waits for a key says so again within this.
const wantedForMs = 10_000;
const shortestSleepMs = 50;

/**
 * Looks after one account at a vendor of models and its keys, for ever: sleeps until the earliest
 * instant at which something is to be found out, finds it out, and takes people's words. How things
 * stand is in the records; a process that lives without it only recovers later.
 */
export async function keyring(input: KeyringInput): Promise<void> {
  const ring = new Keyring(input);
  ring.listen();
  while (await ring.look()) {
    ring.beginWhatIsDue();
    await ring.sleep();
    if (workflowInfo().continueAsNewSuggested) {
      await ring.settle();
      await continueAsNew<typeof keyring>({ ...input, carried: ring.carried() });
    }
  }
  await ring.settle();
}

/** What one keyring knows between its messages; every method is one step of the story above. */
class Keyring {
  private seen: KeyringSeen | null = null;
  private memory: KeyringMemory;
  private forecasts: Forecasts;
  private reads = 0;
  private newestRead = 0;
  private waitsFor = 'Reading how the account stands';
  private wakeAtMs = 0;
  /** Looked at since the last news came. */
  private isNews = false;
  /** What is being found out, by its job's id. */
  private readonly running = new Set<string>();
  private shown = '';

  constructor(private readonly input: KeyringInput) {
    const { wantedUntilMs = 0, done = {}, forecasts = {} } = input.carried ?? {};
    this.memory = { wantedUntilMs, done };
    this.forecasts = forecasts;
  }

  listen(): void {
    setHandler(keyringStatusQuery, () => this.status(), {
      description: 'The account and its keys, as they stand.',
    });
    setHandler(explainKeyQuery, (keyId) => this.explained(keyId)?.text ?? 'No such key.', {
      description: 'How a key stands and why, in one sentence. Input: the id of the key.',
    });
    setHandler(keyStateChangedSignal, () => this.tell(), {
      description: 'A process wrote how a key or the account stands.',
    });
    setHandler(
      wantedSignal,
      () => {
        this.memory.wantedUntilMs = Date.now() + wantedForMs;
        this.tell();
      },
      { description: 'Somebody asks for a key of a pool that has none to give.' },
    );
    const ring = {
      owner: this.owner,
      seen: () => this.seen,
      status: () => this.status(),
      read: () => this.read(),
      tell: () => this.tell(),
    };
    listenToWords(ring);
    listenToAccountWords(ring);
  }

  /** Reads how everything stands; false when there is no account any more. */
  async look(): Promise<boolean> {
    this.isNews = false;
    await this.read();
    if (this.seen === null || this.seen.account.standing === 'revoked') {
      setCurrentDetails('The account is gone, or was revoked: nothing is left to look after.');
      return false;
    }
    const { forecasts, told } = forecast(this.forecasts, this.seen);
    this.forecasts = forecasts;
    for (const { what, lastsMs, warning } of told) {
      log.warn(`${what} ${lastsWords(lastsMs)}`, { accountId: this.input.accountId, warning });
    }
    return true;
  }

  /** Begins all that is due and not under way. */
  beginWhatIsDue(): void {
    if (this.seen === null) {
      return;
    }
    const nowMs = Date.now();
    const rules = patched('asksFurther') ? keyringRules : rulesBefore;
    const { seen, memory, running: underWay } = this;
    const { jobs } = keyringWork(seen, memory, { nowMs, underWay }, rules);
    this.forgetDone(jobs, recalledIds(seen, rules));
    for (const job of jobs.filter(({ dueAtMs }) => dueAtMs <= nowMs)) {
      void this.run(job);
    }
    const left = keyringWork(seen, this.memory, { nowMs, underWay }, rules);
    this.wakeAtMs = left.wakeAtMs;
    this.waitsFor = left.why;
    this.show(nowMs);
  }

  /** Until the earliest instant, or until there is news. */
  async sleep(): Promise<void> {
    const forMs = Math.max(this.wakeAtMs - Date.now(), shortestSleepMs);
    await condition(() => this.isNews, forMs, { summary: summary(this.waitsFor) });
  }

  /** Until nothing of it is under way. */
  async settle(): Promise<void> {
    await condition(() => this.running.size === 0 && allHandlersFinished());
  }

  carried(): NonNullable<KeyringInput['carried']> {
    return { ...this.memory, forecasts: this.forecasts };
  }

  private get owner() {
    return { accountId: this.input.accountId, tenantId: this.input.tenantId };
  }

  private tell(): void {
    this.isNews = true;
  }

  private async read(): Promise<void> {
    this.reads += 1;
    const read = this.reads;
    const seen = await records.loadKeyring.executeWithOptions(
      { summary: 'How the account and its keys stand' },
      [this.owner],
    );
    // One that began later and came back earlier knows more.
    if (read > this.newestRead) {
      this.newestRead = read;
      this.seen = seen;
    }
  }

  private forgetDone(jobs: readonly KeyringJob[], recalled: readonly string[]): void {
    const ids = new Set([...jobs.map(({ id }) => id), ...this.running, ...recalled]);
    this.memory.done = Object.fromEntries(
      Object.entries(this.memory.done).filter(([id]) => ids.has(id)),
    );
  }

  private async run(job: KeyringJob): Promise<void> {
    const times = (this.memory.done[job.id]?.times ?? 0) + 1;
    this.memory.done[job.id] = { atMs: Date.now(), times };
    this.running.add(job.id);
    try {
      await this.do(job, times === 1);
    } catch (error) {
      // How things stand is as before: it is tried again, ever more rarely.
      log.warn(`${job.kind} came to nothing`, { ...this.owner, error: String(error) });
    } finally {
      this.running.delete(job.id);
      this.tell();
    }
  }

  private async do(job: KeyringJob, isFirst: boolean): Promise<unknown> {
    const { kind, keyId, scope, model, coolsUntil, isUrgent } = job;
    const order = { ...this.owner, scope, model, coolsUntil, isUrgent };
    const options = { summary: summary(job.why) };
    if (keyId === null) {
      return llmProbes.pollAccount.executeWithOptions(options, [{ ...this.owner, scope }]);
    }
    switch (kind) {
      case 'verifyKey':
        return llmProbes.verifyKey.executeWithOptions(options, [{ ...order, keyId }]);
      case 'probeCapacity':
        return isUrgent && isFirst
          ? llmBursts.probeOften.executeWithOptions(options, [{ ...order, keyId }])
          : llmProbes.probeCapacity.executeWithOptions(options, [{ ...order, keyId }]);
      case 'revokeReplaced':
        return records.revokeReplacedKey.executeWithOptions(options, [{ ...this.owner, keyId }]);
      case 'pollAccount':
        return llmProbes.pollAccount.executeWithOptions(options, [{ ...this.owner, scope }]);
    }
  }

  private explained(keyId: string): KeyExplained | null {
    return this.seen === null ? null : explainKey(this.seen, keyId, Date.now());
  }

  private status(): KeyringStatus | null {
    if (this.seen === null) {
      return null;
    }
    const { account } = this.seen;
    return {
      account: account.name,
      tenantId: account.tenantId,
      balanceMicros: account.balanceMicros,
      keys: explainKeys(this.seen, Date.now()),
      nextLookAt: new Date(this.wakeAtMs).toISOString(),
      waitsFor: this.waitsFor,
    };
  }

  private show(nowMs: number): void {
    const { seen, forecasts, waitsFor } = this;
    if (seen === null) {
      return;
    }
    setCurrentDetails(keyringDetails(seen, { forecasts, nowMs, waitsFor }));
    const status = worstState(explainKeys(seen, nowMs));
    const nextRunAt = new Date(Math.ceil(this.wakeAtMs / 1_000) * 1_000);
    const shown = `${status} ${nextRunAt.toISOString()}`;
    if (shown !== this.shown) {
      this.shown = shown;
      upsertSearchAttributes([
        { key: searchAttributes.status, value: status },
        { key: searchAttributes.nextRunAt, value: nextRunAt },
      ]);
    }
  }
}
