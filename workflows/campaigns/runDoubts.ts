import { log } from '@temporalio/workflow';
import { doubtWork } from '../proxies';
import { count } from './words';

const againAfterMs = 15 * 60_000;

/** When a run looks after its calls in doubt, and what came of it. */
export class RunDoubts {
  /** The instant of the next look; long past when nobody knows what is due. */
  nextAtMs = 0;
  /** Whether something is due then; otherwise it is only looked whether something is. */
  isPlanned = false;
  /** Grows with each look that is over. */
  looks = 0;
  private looking: Promise<number> | null = null;
  private lookUpAt: string | null = null;
  private readonly sums = { asked: 0, found: 0, notSent: 0 };

  constructor(
    private readonly run: { tenantId: string; runId: string },
    /** What is sent once more is in a new wave. */
    private readonly onNewWave: () => void,
  ) {}

  /**
   * Asks the vendor for what is due and applies the policy, one time at once; answers how many doubts
   * that settled. It never throws.
   */
  settle(): Promise<number> {
    if (this.looking === null && Date.now() < this.nextAtMs) {
      return Promise.resolve(0);
    }
    this.looking ??= this.look().finally(() => {
      this.looking = null;
      this.looks += 1;
    });
    return this.looking;
  }

  /** There may be doubts that are due sooner than those before. */
  lookSoon(): void {
    this.nextAtMs = 0;
  }

  /** What operators read beside the doubts. */
  describe(): string {
    const { asked, found, notSent } = this.sums;
    const sofar =
      asked === 0
        ? ''
        : ` The provider was asked ${count(asked, 'time')}: ${found} found, ${notSent} not sent.`;
    return this.lookUpAt === null ? sofar : `${sofar} Asks the provider at ${this.lookUpAt}.`;
  }

  private async look(): Promise<number> {
    this.nextAtMs = Date.now() + againAfterMs;
    try {
      const settled = await doubtWork.settleRunDoubts(this.run);
      this.sums.asked += settled.asked;
      this.sums.found += settled.found;
      this.sums.notSent += settled.notSent;
      this.lookUpAt = settled.nextLookUpAt;
      this.isPlanned = settled.nextAt !== null;
      if (settled.nextAt !== null) {
        this.nextAtMs = Date.parse(settled.nextAt);
      }
      if (settled.notSent + settled.again > 0) {
        this.onNewWave();
      }
      return settled.found + settled.notSent + settled.overdue;
    } catch (error) {
      log.warn('the doubts of the run were not looked after', { error: String(error) });
      return 0;
    }
  }
}
