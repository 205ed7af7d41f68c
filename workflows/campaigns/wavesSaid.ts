import type { DoneByLanes, HeldUp } from './messages';

// What holds calls up without an end that is known is said again every minute.
const saidForMs = 150_000;

/** What the living waves of a run said last: what holds them up, and what they have done. */
export class WavesSaid {
  private readonly heldUp = new Map<string, HeldUp & { at: number }>();
  private readonly doneSoFar = new Map<string, DoneByLanes>();
  private said = 0;

  /** How often a wave has said something. */
  get messages(): number {
    return this.said;
  }

  note(wave: string, heldUp: HeldUp): void {
    this.heldUp.set(wave, { ...heldUp, at: Date.now() });
    if (heldUp.done !== undefined) {
      this.doneSoFar.set(wave, heldUp.done);
    }
    this.said += 1;
  }

  /** For when that may be over: waves that still have to wait say so again. */
  forgetWhatHoldsUp(): void {
    this.heldUp.clear();
  }

  /** What it has done is known from its result. */
  forget(wave: string): void {
    this.heldUp.delete(wave);
    this.doneSoFar.delete(wave);
  }

  done(): DoneByLanes[] {
    return [...this.doneSoFar.values()];
  }

  /** "held up until … by …", of what was said last; null when nothing holds up a wave. */
  describe(): string | null {
    const last = [...this.heldUp.values()]
      .filter(({ until, at }) => Date.now() < overAt(until, at))
      .sort((a, b) => b.at - a.at)[0];
    if (last === undefined) {
      return null;
    }
    return last.until === null
      ? `held up by ${last.reason}`
      : `held up until ${last.until} by ${last.reason}`;
  }
}

function overAt(until: string | null, saidAtMs: number): number {
  return until === null ? saidAtMs + saidForMs : Date.parse(until);
}
