import type { FailureKind } from '../domain/llm/failures';
import type { TokenUsage } from '../domain/llm/types';
import type { CallMetrics } from './callMetrics';
import type { Catalogue } from './catalogue';
import { CostSum, type CostLookUps, type UnknownCost } from './costs';
import { pricesOf } from './models';
import type { Asker, CallLedger, SettledAttempt, SettledCall } from './types';

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

/** The record of one call: what it reserved, its attempts, what they cost, how it ended. */
export class CallRecord {
  private readonly attempts: SettledAttempt[] = [];
  private readonly unknown: UnknownCost[] = [];
  private readonly sum = new CostSum();
  private firstTokenMs: number | null = null;
  private isOver = false;

  constructor(
    private readonly deps: RecordDeps,
    private readonly call: RecordedCall,
  ) {}

  /** @throws AppError planLimit when a budget is spent */
  open(): Promise<void> {
    const { startedAt: _, ...call } = this.call;
    return this.deps.ledger.open(call);
  }

  get attemptCount(): number {
    return this.attempts.length;
  }

  /** As far as it is known now; vendors may be asked for more of it afterwards. */
  get costMicros(): number {
    return this.sum.with(this.unknown).costMicros;
  }

  attempted(attempt: Omit<SettledAttempt, 'n'>): void {
    this.attempts.push({ n: this.attempts.length + 1, ...attempt });
    this.deps.metrics.attempted(attempt.failureKind);
  }

  /** The first token of the answer that lasts: what was taken back does not count. */
  tokenCame(at: number): void {
    this.firstTokenMs = at - this.call.startedAt;
  }

  answered(model: string, usage: TokenUsage): void {
    this.sum.answered(usage, pricesOf(this.deps.catalogue, model));
  }

  /** It may be billed and did not say for how much. */
  mayCost(unknown: UnknownCost): void {
    this.unknown.push(unknown);
  }

  /** Tells the ledger, once vendors have said what they can; the second time does nothing. */
  end(end: CallEnd): void {
    if (this.isOver) {
      return;
    }
    this.isOver = true;
    const { ledger, costs, catalogue, metrics } = this.deps;
    const { callId, kind, model, startedAt } = this.call;
    const { attempts, firstTokenMs } = this;
    const totalMs = Date.now() - startedAt;
    if (firstTokenMs !== null) {
      metrics.firstToken(firstTokenMs);
    }
    const prices = pricesOf(catalogue, end.model ?? model);
    costs.settle(this.sum, this.unknown, prices, (cost) => {
      ledger.settle({ callId, ...end, ...cost, firstTokenMs, totalMs, attempts });
      metrics.ended({ kind, outcome: end.outcome, totalMs, costMicros: cost.costMicros });
    });
  }
}
