/** Until when calls may leave that were counted in windows of their account's limits. */
export interface Leave {
  /** By the database's clock, which the gate goes by. */
  before: Date;
  /**
   * The same instant, or as much earlier as the question for it took to the database, by
   * `performance.now()` of this process: what comes after the gate goes by it.
   */
  beforeMs: number;
}

/**
 * Whether it is too late for a call. To be asked right before it: the gate's commit may have waited for
 * a disk, and whoever counts for the vendor would find the call in the next window.
 */
export function isOver(leave: Leave | null): boolean {
  return leave !== null && performance.now() >= leave.beforeMs;
}

/** What the database answered, and when it began with it. */
interface LeaveAnswer {
  leaveBefore: Date;
  heardAt: Date;
}

export function leaveOf(askedAtMs: number, { leaveBefore, heardAt }: LeaveAnswer): Leave {
  return {
    before: leaveBefore,
    beforeMs: askedAtMs + leaveBefore.getTime() - heardAt.getTime(),
  };
}
