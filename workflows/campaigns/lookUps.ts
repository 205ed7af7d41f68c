import { log } from '@temporalio/workflow';
import { lookUps } from '../proxies';
import { count } from './words';

const againAfterMs = 15 * 60_000;

/** When a run asks its vendor for calls in doubt, and what came of it. */
export class DoubtLookUps {
  /** The instant of the next look-up; long past when nobody knows what is due. */
  nextAtMs = 0;
  private isAskable = false;
  private readonly sums = { asked: 0, found: 0, notSent: 0 };

  constructor(private readonly run: { tenantId: string; runId: string }) {}

  /** Asks for what is due; answers how many doubts that settled. It never throws. */
  async ask(): Promise<number> {
    if (Date.now() < this.nextAtMs) {
      return 0;
    }
    this.nextAtMs = Date.now() + againAfterMs;
    try {
      const looked = await lookUps.lookUpDoubts(this.run);
      this.sums.asked += looked.asked;
      this.sums.found += looked.found;
      this.sums.notSent += looked.notSent;
      this.isAskable = looked.nextAt !== null;
      if (looked.nextAt !== null) {
        this.nextAtMs = Date.parse(looked.nextAt);
      }
      return looked.found + looked.notSent;
    } catch (error) {
      // Events, deadlines and people settle doubts as well.
      log.warn('the provider was not asked for calls in doubt', { error: String(error) });
      return 0;
    }
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
    return this.isAskable
      ? `${sofar} Asks the provider at ${new Date(this.nextAtMs).toISOString()}.`
      : sofar;
  }
}
