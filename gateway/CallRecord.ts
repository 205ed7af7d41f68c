import type { FailureKind } from '../domain/llm/failures';
import type { FailedAttempt } from '../domain/llm/reactions';
import type { CallMetrics } from './callMetrics';
import type { Catalogue } from './catalogue';
import { sumOf, type AttemptCost, type Cost, type CostLookUps } from './costs';
import type { Asker, CallLedger, ChosenKey, SettledAttempt, SettledCall } from './types';

/** What one call is recorded with. */
export interface RecordDeps {
  readonly ledger: CallLedger;
  readonly costs: CostLookUps;
  readonly catalogue: Catalogue;
  readonly metrics: CallMetrics;
}

export interface RecordedCall {
  readonly callId: string;
  readonly asker: Asker;
  readonly kind: 'chat' | 'embedding' | 'image';
  readonly model: string;
  readonly mayUsePlatform: boolean;
  readonly isStreamed: boolean;
  readonly estimateMicros: number;
  readonly startedAt: number;
  readonly expiresAt: Date;
}

/** How a call ended. */
export interface CallEnd {
  readonly outcome: SettledCall['outcome'];
  readonly failureKind: FailureKind | null;
  readonly model: string | null;
  readonly keyId: string | null;
  readonly accountId: string | null;
  readonly poolId: string | null;
}

/** Whoever answered; without a key where the answer was there already. */
export interface EndedBy {
  readonly model: string;
  readonly key: Pick<ChosenKey, 'keyId' | 'accountId' | 'poolId'> | null;
}

/** How a call ended: by whoever answered, else by what failed last. */
export function endOf(
  outcome: CallEnd['outcome'],
  by: EndedBy | null,
  last: FailedAttempt | null,
): CallEnd {
  const failureKinds = {
    succeeded: null,
    cached: null,
    failed: last?.failure.kind ?? null,
    cancelled: 'cancelled' as const,
  };
  const key = by?.key ?? last;
  return {
    outcome,
    failureKind: failureKinds[outcome],
    model: by?.model ?? last?.model ?? null,
    keyId: key?.keyId ?? null,
    accountId: key?.accountId ?? null,
    poolId: key?.poolId ?? null,
  };
}

type AttemptMade = Omit<SettledAttempt, 'n' | keyof Cost>;

/** The record of one call: what it reserved, its attempts, what they cost, how it ended. */
export class CallRecord {
  private readonly attempts: AttemptMade[] = [];
  private readonly costs: AttemptCost[] = [];
  private reservedMicros = 0;
  private firstTokenMs: number | null = null;
  private isOver = false;

  constructor(
    private readonly deps: RecordDeps,
    private readonly call: RecordedCall,
  ) {}

  /** @throws AppError planLimit when a budget is spent */
  async open(): Promise<void> {
    const { startedAt: _, ...call } = this.call;
    await this.deps.ledger.open(call);
    this.reservedMicros = call.estimateMicros;
  }

  /**
   * Sees to it that what the attempts cost so far and this much beside it are reserved: what was
   * reserved at first pays for one attempt.
   *
   * @throws AppError planLimit when a budget has no room for it
   */
  async reserve(micros: number): Promise<void> {
    const estimateMicros = this.costMicros + micros;
    if (estimateMicros > this.reservedMicros) {
      await this.deps.ledger.reserveMore({ callId: this.call.callId, estimateMicros });
      this.reservedMicros = estimateMicros;
    }
  }

  get attemptCount(): number {
    return this.attempts.length;
  }

  /** As far as it is known now; vendors may be asked for more of it afterwards. */
  get costMicros(): number {
    return this.costs.reduce((sum, { cost }) => sum + cost.costMicros, 0);
  }

  attempted(attempt: AttemptMade, cost: AttemptCost): void {
    this.attempts.push(attempt);
    this.costs.push(cost);
    this.deps.metrics.attempted(attempt.failureKind);
  }

  /** The first token of the answer that lasts: what was taken back does not count. */
  tokenCame(at: number): void {
    this.firstTokenMs = at - this.call.startedAt;
  }

  /** Tells the ledger, once vendors have said what they can; the second time does nothing. */
  end(end: CallEnd): void {
    if (this.isOver) {
      return;
    }
    this.isOver = true;
    const { costs: lookUps, ledger, metrics } = this.deps;
    const { callId, kind, startedAt } = this.call;
    const { attempts, firstTokenMs } = this;
    const totalMs = Date.now() - startedAt;
    if (firstTokenMs !== null) {
      metrics.firstToken(firstTokenMs);
    }
    lookUps.settle(this.costs, (costs) => {
      const sum = sumOf(costs);
      ledger.settle({
        callId,
        ...end,
        ...sum,
        firstTokenMs,
        totalMs,
        attempts: costs.flatMap((cost, index) => {
          const attempt = attempts[index];
          return attempt === undefined ? [] : [{ ...attempt, ...cost, n: index + 1 }];
        }),
      });
      metrics.ended({ kind, outcome: end.outcome, totalMs, costMicros: sum.costMicros });
    });
  }
}
