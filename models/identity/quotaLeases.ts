import { AppError } from '../../domain/errors';
import type { CountedQuota } from '../../domain/identity/plans';
import type { Knex } from '../../lib/db';
import { newRandomId } from '../../lib/ids';
import { withTenant } from '../base';
import { reserveQuota, settleQuota } from './quotas';

/** Counts single uses in memory, out of amounts that were reserved for this process. */
export interface QuotaLeases {
  /**
   * Uses one. @throws planLimit quotaReached
   */
  take(tenantId: string, quota: CountedQuota): Promise<void>;
  /** Gives one back that was taken and not used. */
  giveBack(tenantId: string, quota: CountedQuota): void;
  /** Writes down what was used and returns the rest. */
  close(): Promise<void>;
}

interface Lease {
  readonly tenantId: string;
  readonly quota: CountedQuota;
  readonly id: string;
  readonly amount: number;
  readonly endsAt: number;
  used: number;
}

const leaseAmount = 64;
// What is used shows in the records after this long at the latest.
const leaseMs = 5_000;
// A process that has not settled by then is gone.
const abandonedAfterMs = 60_000;
const sweepEveryMs = 1_000;

/**
 * A counter in one row that every request writes would make a tenant's requests wait for one another.
 * So each process reserves a few dozen at a time and counts them in memory: all of them together
 * cannot pass the limit, and what a process used is written when its lease is spent or over.
 */
export function createQuotaLeases(db: Knex, onError: (error: unknown) => void): QuotaLeases {
  const leases = new Map<string, Lease>();
  const renewals = new Map<string, Promise<Lease>>();
  const keyOf = (tenantId: string, quota: CountedQuota) => `${tenantId} ${quota}`;
  const hasRoom = (lease: Lease | undefined): lease is Lease =>
    lease !== undefined && lease.used < lease.amount && Date.now() < lease.endsAt;

  async function settle(lease: Lease): Promise<void> {
    const { tenantId, quota, id, used } = lease;
    await withTenant(db, tenantId, (trx) =>
      settleQuota(trx, { tenantId, quota, id, amount: used }),
    );
  }

  function reserve(tenantId: string, quota: CountedQuota, amount: number): Promise<Lease> {
    const id = newRandomId();
    return withTenant(db, tenantId, async (trx) => {
      await reserveQuota(trx, { tenantId, quota, amount, id, forMs: abandonedAfterMs });
      return { tenantId, quota, id, amount, endsAt: Date.now() + leaseMs, used: 0 };
    });
  }

  async function renew(tenantId: string, quota: CountedQuota): Promise<Lease> {
    const key = keyOf(tenantId, quota);
    const old = leases.get(key);
    leases.delete(key);
    if (old !== undefined) {
      await settle(old);
    }
    const lease = await reserveSome(tenantId, quota);
    leases.set(key, lease);
    return lease;
  }

  // Near the limit the last ones are to be had one by one.
  async function reserveSome(tenantId: string, quota: CountedQuota): Promise<Lease> {
    try {
      return await reserve(tenantId, quota, leaseAmount);
    } catch (error) {
      if (error instanceof AppError && error.code === 'quotaReached') {
        return reserve(tenantId, quota, 1);
      }
      throw error;
    }
  }

  const sweep = setInterval(() => {
    for (const [key, lease] of leases) {
      if (Date.now() >= lease.endsAt && !renewals.has(key)) {
        leases.delete(key);
        settle(lease).catch(onError);
      }
    }
  }, sweepEveryMs);
  sweep.unref();

  return {
    async take(tenantId, quota) {
      const key = keyOf(tenantId, quota);
      for (;;) {
        const lease = leases.get(key);
        if (hasRoom(lease)) {
          lease.used += 1;
          return;
        }
        let renewal = renewals.get(key);
        if (renewal === undefined) {
          renewal = renew(tenantId, quota).finally(() => renewals.delete(key));
          renewals.set(key, renewal);
        }
        await renewal;
      }
    },

    giveBack(tenantId, quota) {
      const lease = leases.get(keyOf(tenantId, quota));
      if (lease !== undefined && lease.used > 0) {
        lease.used -= 1;
      }
    },

    async close() {
      clearInterval(sweep);
      await Promise.allSettled(renewals.values());
      const open = [...leases.values()];
      leases.clear();
      const settled = await Promise.allSettled(open.map(settle));
      for (const one of settled) {
        if (one.status === 'rejected') {
          onError(one.reason);
        }
      }
    },
  };
}
