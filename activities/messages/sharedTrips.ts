import type { Knex, Rows, TripStatement } from '../../lib/db';
import { forTenantInOneTrip } from '../../models/base';

/** What a lane asks the database for: statements of one transaction, the first of which locks its dispatch. */
interface Request {
  dispatch: DispatchKey;
  statements: readonly TripStatement[];
  resolve: (rows: Rows[]) => void;
  reject: (reason: unknown) => void;
}

interface DispatchKey {
  runId: string;
  n: number;
}

/** Lanes that share the connections of an account for one tenant. */
export interface LaneGroup {
  tenantId: string;
  accountId: string;
}

/** What the lanes of a group do in this process. */
interface Lanes {
  /** Blocks that have their turn: their calls keep the connections busy while others wait here. */
  atWork: number;
  waiting: Request[];
  timer: NodeJS.Timeout | null;
}

// Long beside the calls of a block at a quick vendor, short beside those at a slow one.
const longestWaitMs = 20;

/**
 * Trips to the database that lanes of a process make together: a transaction with its begin, its
 * commit and the disk's answer to it, and the waking of two processes, cost more than what a gate asks.
 * A request goes when half of the blocks at work have come to theirs, so that the other half has calls
 * to make meanwhile, and in any case after 20 ms.
 */
export class SharedTrips {
  private readonly groups = new Map<string, Lanes>();

  constructor(private readonly db: Knex) {}

  /** Counts the work of one lane as a block at work for as long as it takes. */
  async atWork<T>(group: LaneGroup, work: () => Promise<T>): Promise<T> {
    const lanes = this.groups.get(keyOf(group)) ?? { atWork: 0, waiting: [], timer: null };
    this.groups.set(keyOf(group), lanes);
    lanes.atWork += 1;
    try {
      return await work();
    } finally {
      lanes.atWork -= 1;
      this.look(group, lanes);
    }
  }

  /**
   * Like `forTenantInOneTrip`, maybe in one transaction with others. When that fails each is tried in one
   * of its own, so that a lane fails for its own reasons alone: the statements must bear to be sent again.
   */
  inOneTrip(
    group: LaneGroup,
    dispatch: DispatchKey,
    statements: readonly TripStatement[],
  ): Promise<Rows[]> {
    const lanes = this.groups.get(keyOf(group));
    if (lanes === undefined) {
      return forTenantInOneTrip(this.db, group.tenantId, statements);
    }
    return new Promise((resolve, reject) => {
      lanes.waiting.push({ dispatch, statements, resolve, reject });
      lanes.timer ??= setTimeout(() => this.leave(group, lanes), longestWaitMs);
      this.look(group, lanes);
    });
  }

  private look(group: LaneGroup, lanes: Lanes): void {
    if (lanes.waiting.length * 2 >= lanes.atWork) {
      this.leave(group, lanes);
    }
  }

  private leave(group: LaneGroup, lanes: Lanes): void {
    if (lanes.timer !== null) {
      clearTimeout(lanes.timer);
      lanes.timer = null;
    }
    const requests = lanes.waiting.splice(0);
    if (lanes.atWork === 0) {
      this.groups.delete(keyOf(group));
    }
    if (requests.length > 0) {
      void this.go(group.tenantId, requests.toSorted(byDispatch));
    }
  }

  private async go(tenantId: string, requests: readonly Request[]): Promise<void> {
    try {
      // All that is waited for comes first: no gate is passed and grows old while another waits.
      const locking = requests.flatMap(({ statements }) => statements.slice(0, 1));
      const rest = requests.flatMap(({ statements }) => statements.slice(1));
      const rows = await forTenantInOneTrip(this.db, tenantId, [...locking, ...rest]);
      let from = locking.length;
      for (const [index, { statements, resolve }] of requests.entries()) {
        const end = from + statements.length - 1;
        resolve([...rows.slice(index, index + 1), ...rows.slice(from, end)]);
        from = end;
      }
    } catch (error) {
      if (requests.length === 1) {
        requests[0]?.reject(error);
        return;
      }
      await Promise.all(requests.map((request) => this.go(tenantId, [request])));
    }
  }
}

function keyOf({ tenantId, accountId }: LaneGroup): string {
  return `${tenantId}:${accountId}`;
}

// Whoever locks several dispatches does it in this order.
function byDispatch({ dispatch: a }: Request, { dispatch: b }: Request): number {
  return a.runId < b.runId ? -1 : a.runId > b.runId ? 1 : a.n - b.n;
}
