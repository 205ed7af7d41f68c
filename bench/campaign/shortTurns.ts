import type { SinkFigures } from './sink';

export type Side = 'product' | 'bare';

// Much shorter than a change of the machine's speed, and than any time-out of who stands still.
const turnMs = 3_000;

/**
 * Lets product and bare loop run by turns of three seconds: the machine's speed changes by a half within
 * a minute, so that of two long turns the one that met the better time would win. Who has no turn is
 * stopped as by SIGSTOP. When one side has ended, the other runs to its end.
 */
export class ShortTurns {
  private readonly stood: Record<Side, { fromMs: number; toMs: number }[]> = {
    product: [],
    bare: [],
  };
  private standing: { side: Side; fromMs: number } | null = null;
  private timer: NodeJS.Timeout | null = null;
  private readonly giveUp = () => {
    this.stop();
    process.exit(1);
  };

  constructor(private readonly pids: Record<Side, number[]>) {}

  /** The first turn is the product's. */
  begin(): void {
    // Who stands still when this process is told to end would do so for ever.
    process.on('SIGINT', this.giveUp);
    process.on('SIGTERM', this.giveUp);
    this.halt('bare');
    this.timer = setInterval(() => {
      const side = this.standing?.side === 'bare' ? 'product' : 'bare';
      this.resume();
      this.halt(side);
    }, turnMs);
  }

  /** From now on both run; may be called twice. */
  stop(): void {
    if (this.timer !== null) {
      clearInterval(this.timer);
      this.timer = null;
    }
    process.off('SIGINT', this.giveUp);
    process.off('SIGTERM', this.giveUp);
    this.resume();
  }

  /** From a side's first call to its last, without the time in which it stood still. */
  secondsOf(side: Side, { firstCallAtMs, lastCallAtMs }: SinkFigures): number {
    const stoodMs = this.stood[side].reduce(
      (sum, { fromMs, toMs }) =>
        sum + Math.max(0, Math.min(toMs, lastCallAtMs) - Math.max(fromMs, firstCallAtMs)),
      0,
    );
    return (lastCallAtMs - firstCallAtMs - stoodMs) / 1000;
  }

  private halt(side: Side): void {
    this.pids[side].forEach((pid) => process.kill(pid, 'SIGSTOP'));
    this.standing = { side, fromMs: Date.now() };
  }

  private resume(): void {
    if (this.standing !== null) {
      const { side, fromMs } = this.standing;
      this.stood[side].push({ fromMs, toMs: Date.now() });
      this.pids[side].forEach((pid) => process.kill(pid, 'SIGCONT'));
      this.standing = null;
    }
  }
}
