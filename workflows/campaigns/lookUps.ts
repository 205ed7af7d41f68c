import { log } from '@temporalio/workflow';
import { lookUps } from '../proxies';
import { count } from './words';

const againAfterMs = 15 * 60_000;

/** When a run asks its vendor for calls in doubt, and what came of it. */
export class DoubtLookUps {
  /** The instant of the next look-up; long past when nobody knows what is due. */
  nextAtMs = 0;
  /** Whether something is due then; otherwise it is only looked whether something is. */
  isPlanned = false;
  /** Grows with each time an answer has come. */
  rounds = 0;
  private asking: Promise<number> | null = null;
  private readonly sums = { asked: 0, found: 0, notSent: 0 };

  constructor(
    private readonly run: { tenantId: string; runId: string },
    /** What was not sent is in a new wave. */
    private readonly onNewWave: () => void,
  ) {}

  /** Asks for what is due, one time at once; answers how many doubts that settled. It never throws. */
  ask(): Promise<number> {
    if (this.asking === null && Date.now() < this.nextAtMs) {
      return Promise.resolve(0);
    }
    this.asking ??= this.askNow().finally(() => {
      this.asking = null;
      this.rounds += 1;
    });
    return this.asking;
  }

  /** There may be doubts that are due sooner than those before. */
  askSoon(): void {
    this.nextAtMs = 0;
  }

  /** What operators read beside the doubts. */
  describe(): string {
    const { asked, found, notSent } = this.sums;
    const sofar =
      asked === 0
        ? ''
        : ` The provider was asked ${count(asked, 'time')}: ${found} found, ${notSent} not sent.`;
    return this.isPlanned
      ? `${sofar} Asks the provider at ${new Date(this.nextAtMs).toISOString()}.`
      : sofar;
  }

  private async askNow(): Promise<number> {
    this.nextAtMs = Date.now() + againAfterMs;
    try {
      const looked = await lookUps.lookUpDoubts(this.run);
      this.sums.asked += looked.asked;
      this.sums.found += looked.found;
      this.sums.notSent += looked.notSent;
      this.isPlanned = looked.nextAt !== null;
      if (looked.nextAt !== null) {
        this.nextAtMs = Date.parse(looked.nextAt);
      }
      if (looked.notSent > 0) {
        this.onNewWave();
      }
      return looked.found + looked.notSent;
    } catch (error) {
      // Events, deadlines and people settle doubts as well.
      log.warn('the provider was not asked for calls in doubt', { error: String(error) });
      return 0;
    }
  }
}
