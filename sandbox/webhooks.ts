import type { Logger } from '../lib/logger';
import type { AppendLog } from './appendLog';
import { seededRandom, shuffled } from './chance';
import { DueQueue } from './dueQueue';
import { disturbEvents, type Faults } from './faults';
import type { JournaledRequest } from './journal';
import { PostLog, type EventPost } from './postLog';
import type { OpenRequest, PostEvents, StageSummary, VendorEvent, Visit } from './vendor';
import { visitAll } from './visits';

const LANES = 4;
const FIRST_RETRY_MS = 1_000;
const LONGEST_RETRY_MS = 15 * 60_000;
const GIVE_UP_AFTER_MS = 24 * 3_600_000;

/** Events of one request that fall due together. */
interface Unit {
  request: JournaledRequest;
  stage: StageSummary;
  /** What follows once this was tried. */
  next: StageSummary[];
  firstTriedAt: number | null;
  attempts: number;
  /** The flush that tried it last, so that a flush tries everything once. */
  flush: number;
}

export interface FlushResult {
  posted: number;
  failed: number;
}

/** How one vendor's events leave. */
export interface EventChannel {
  post: PostEvents;
  maxEventsPerPost: number;
}

export interface WebhookParts {
  /** By vendor; who is not in it reports nothing. */
  channels: ReadonlyMap<string, EventChannel>;
  open(request: JournaledRequest): Promise<OpenRequest>;
  /** Holds a line for each stage that needs no more attempts. */
  done: AppendLog;
  faults: Faults;
  logger: Logger;
}

/**
 * Carries events to the vendors' webhooks, in posts as large as each vendor's, retried with growing
 * intervals for a day. The queue can be made again from the request journal and the list of stages that are done;
 * a crash may repeat a post, as the vendor may, and loses none.
 */
export class Webhooks {
  private readonly queue = new DueQueue<Unit>();
  private readonly posts = new PostLog();
  private readonly busy = new Set<Promise<void>>();
  private readonly stopping = new AbortController();
  private timer: NodeJS.Timeout | null = null;
  private flushes = 0;
  private random: () => number = Math.random;

  constructor(private readonly parts: WebhookParts) {
    this.followFaults();
  }

  get pending(): number {
    return this.queue.size + this.busy.size;
  }

  /** Whether events of this vendor's messages have anywhere to go. */
  reports(vendor: string): boolean {
    return this.parts.channels.has(vendor);
  }

  /** Lines up the events of a request; `isDone` tells stages that were posted before a restart. */
  add(
    request: JournaledRequest,
    open: Pick<OpenRequest, 'stages'>,
    isDone: (stage: string) => boolean = () => false,
  ): void {
    this.lineUp(
      request,
      open.stages().filter((stage) => !isDone(stage.name)),
    );
    this.pump();
  }

  /** To be called when the fault plan has changed: what was held may be free now. */
  followFaults(): void {
    const { seed } = this.parts.faults.plan;
    this.random = seed === undefined ? Math.random : seededRandom(`${seed}/events`);
    this.pump();
  }

  /** Tries everything that waits, held or not due or failed before, once; later stages too. */
  async flush(): Promise<FlushResult> {
    this.flushes += 1;
    const flush = this.flushes;
    const before = this.posts.figures();
    for (;;) {
      await Promise.all(this.busy);
      const units = this.queue.take((unit) => unit.flush !== flush);
      if (units.length === 0 && this.busy.size === 0) {
        break;
      }
      for (const unit of units) {
        unit.flush = flush;
      }
      for (const batch of this.batchesOf(units)) {
        await this.deliver(batch);
      }
    }
    this.pump();
    return this.posts.since(before);
  }

  /** Posts again what was posted already, with the same event ids. */
  async replay(requests: readonly JournaledRequest[]): Promise<FlushResult> {
    const before = this.posts.figures();
    await Promise.all(this.busy);
    const waiting = new Set(this.queue.items().map(unitKey));
    for (const request of requests) {
      if (request.events) {
        const stages = (await this.parts.open(request)).stages();
        const posted = stages
          .map((stage) => newUnit(request, stage, []))
          .filter((unit) => !waiting.has(unitKey(unit)));
        for (const batch of this.batchesOf(posted)) {
          await this.attempt(batch, { replay: true });
        }
      }
    }
    return this.posts.since(before);
  }

  /** The latest attempts, oldest first. */
  list(from: number, limit: number): EventPost[] {
    return this.posts.list(from, limit);
  }

  figures() {
    return { pending: this.pending, ...this.posts.figures() };
  }

  /** Forgets what waits and what was posted. */
  async clear(): Promise<void> {
    this.queue.clear();
    await Promise.all(this.busy);
    this.queue.clear();
    this.posts.clear();
    await this.parts.done.clear();
  }

  async close(): Promise<void> {
    this.stopping.abort();
    if (this.timer) {
      clearTimeout(this.timer);
    }
    await Promise.all(this.busy);
    await this.parts.done.close();
  }

  private lineUp(request: JournaledRequest, stages: StageSummary[]): void {
    const { eventsShuffle, eventsDelayMs = 0 } = this.parts.faults.plan;
    const [first, ...next] = stages;
    if (!first) {
      return;
    }
    if (eventsShuffle) {
      for (const stage of shuffled(stages, this.random)) {
        this.queue.push(newUnit(request, stage, []), Date.now() + eventsDelayMs);
      }
      return;
    }
    const dueAt = Math.max(Date.now(), request.receivedAt + first.delayMs) + eventsDelayMs;
    this.queue.push(newUnit(request, first, next), dueAt);
  }

  private pump(): void {
    if (this.timer) {
      clearTimeout(this.timer);
      this.timer = null;
    }
    if (this.stopping.signal.aborted || this.parts.faults.plan.eventsHold) {
      return;
    }
    while (this.busy.size < LANES && (this.queue.nextDueAt ?? Infinity) <= Date.now()) {
      const work: Promise<void> = this.deliver(this.takeDue()).finally(() => {
        this.busy.delete(work);
        this.pump();
      });
      this.busy.add(work);
    }
    const { nextDueAt } = this.queue;
    if (this.busy.size < LANES && nextDueAt !== null) {
      this.timer = setTimeout(() => this.pump(), Math.min(nextDueAt - Date.now(), 60_000));
    }
  }

  private takeDue(): Unit[] {
    const now = Date.now();
    const taken: Unit[] = [];
    let events = 0;
    while ((this.queue.nextDueAt ?? Infinity) <= now) {
      const next = this.queue.peek();
      const [first] = taken;
      if (first && next && !this.fits(next, first, events)) {
        break;
      }
      const unit = this.queue.pop();
      if (unit) {
        taken.push(unit);
        events += unit.stage.size;
      }
    }
    return taken;
  }

  private batchesOf(units: Unit[]): Unit[][] {
    const batches: Unit[][] = [];
    let events = 0;
    for (const unit of units) {
      const first = batches.at(-1)?.[0];
      if (!first || !this.fits(unit, first, events)) {
        batches.push([]);
        events = 0;
      }
      batches.at(-1)?.push(unit);
      events += unit.stage.size;
    }
    return batches;
  }

  /** Whether a unit may share a post that begins with another and holds so many events. */
  private fits(unit: Unit, first: Unit, events: number): boolean {
    const { vendor } = first.request;
    return (
      unit.request.vendor === vendor &&
      events + unit.stage.size <= (this.parts.channels.get(vendor)?.maxEventsPerPost ?? 0)
    );
  }

  private async deliver(units: Unit[]): Promise<void> {
    const delivered = await this.attempt(units, { replay: false }).catch((error: unknown) => {
      this.parts.logger.error({ err: error }, 'events could not be made');
      return false;
    });
    for (const unit of units) {
      unit.firstTriedAt ??= Date.now();
      unit.attempts += 1;
      if (delivered || this.isHopeless(unit)) {
        await this.settle(unit);
      } else if (!this.stopping.signal.aborted) {
        const wait = Math.min(FIRST_RETRY_MS * 2 ** (unit.attempts - 1), LONGEST_RETRY_MS);
        this.queue.push(unit, Date.now() + wait);
      }
      if (unit.attempts === 1) {
        this.lineUp(unit.request, unit.next);
      }
    }
  }

  private async attempt(units: Unit[], { replay }: { replay: boolean }): Promise<boolean> {
    const channel = this.parts.channels.get(units[0]?.request.vendor ?? '');
    if (!channel) {
      throw new Error('these events belong to a vendor that reports nothing');
    }
    const events: VendorEvent[] = [];
    const visits: Visit[] = [];
    for (const { request, stage } of units) {
      const content = (await this.parts.open(request)).stage(stage.name);
      events.push(...content.events);
      visits.push(...content.visits);
    }
    const attempt = 1 + Math.max(...units.map((unit) => unit.attempts));
    const about = { attempt, replay, units: units.map(describeUnit) };
    if (visits.length > 0 && !replay) {
      const visited = await visitAll(visits, this.stopping.signal);
      this.posts.note({ ...about, events: [], visits: visited, status: null, error: null });
    }
    for (const post of disturbEvents(events, this.parts.faults.plan, this.random)) {
      for (let from = 0; from < post.length; from += channel.maxEventsPerPost) {
        const part = post.slice(from, from + channel.maxEventsPerPost);
        const { ok, ...answer } = await this.post(channel, part);
        this.posts.note({ ...about, events: part, visits: [], ...answer });
        if (!ok) {
          return false;
        }
      }
    }
    return true;
  }

  private async post(channel: EventChannel, events: VendorEvent[]) {
    const answer = await channel.post(events, this.stopping.signal).then(
      (status) => ({ ok: status >= 200 && status < 300, status, error: null }),
      (error: unknown) => ({ ok: false, status: null, error: reasonOf(error) }),
    );
    if (!answer.ok && !this.stopping.signal.aborted) {
      const { status, error } = answer;
      this.parts.logger.warn({ status, error, events: events.length }, 'events were not taken');
    }
    return answer;
  }

  private async settle(unit: Unit): Promise<void> {
    await this.parts.done.append(Buffer.from(unitKey(unit)));
  }

  private isHopeless(unit: Unit): boolean {
    return unit.firstTriedAt !== null && Date.now() - unit.firstTriedAt > GIVE_UP_AFTER_MS;
  }
}

/** How the list of finished stages names one. */
export function doneKey(messageId: string, stage: string): string {
  return `${messageId} ${stage}`;
}

function unitKey({ request, stage }: Unit): string {
  return doneKey(request.messageId, stage.name);
}

function newUnit(request: JournaledRequest, stage: StageSummary, next: StageSummary[]): Unit {
  return { request, stage, next, firstTriedAt: null, attempts: 0, flush: 0 };
}

function describeUnit({ request, stage }: Unit): EventPost['units'][number] {
  return { messageId: request.messageId, stage: stage.name };
}

// fetch says "fetch failed" and keeps the reason as the cause.
function reasonOf(error: unknown): string {
  if (!(error instanceof Error)) {
    return String(error);
  }
  return error.cause instanceof Error ? `${error.message}: ${error.cause.message}` : error.message;
}
