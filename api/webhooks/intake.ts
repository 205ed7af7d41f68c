import type { MessageEvent } from '../../domain/messages/events';
import type { Vendor } from '../../domain/messages/accounts/types';
import { isTransactionConflict } from '../../lib/databaseErrors';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { Counter, type Registry } from '../../lib/metrics';
import { storeDelivery } from '../../models/messages/events';
import { storeInbound, type InboundNote } from '../../models/messages/inbound';
import type { SigningAccount } from '../../models/messages/webhookAccounts';
import type { ApiDeps } from '../deps';
import { createGroups } from './together';

type IntakeDeps = Pick<ApiDeps, 'db' | 'metrics'>;

/** Whose key something was signed with. */
interface Signed {
  vendor: Vendor;
  account: SigningAccount;
}

/**
 * Stores events and counts what became of them. It stores in one order everywhere, so that the same
 * events in two deliveries wait, not lock up.
 */
export async function takeEvents(
  { db, metrics }: IntakeDeps,
  { vendor, account, events }: Signed & { events: readonly MessageEvent[] },
): Promise<{ stored: number }> {
  const keyOf = (event: MessageEvent) => `${event.runId ?? ''}/${event.providerEventId}`;
  const ordered = events
    .map((event) => ({ key: keyOf(event), event }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ event }) => event);
  const { stored, wrongAccount } = await whileInTheWay(() =>
    storeDelivery(db, { accountId: account.id, events: ordered }),
  );
  const known = events.length - stored - wrongAccount;
  count(metrics, vendor, { stored, known, wrongAccount });
  return { stored };
}

/**
 * The same for vendors that post each event alone: those of one account that come at the same time
 * are stored together, for what costs is the commit.
 */
export async function takeEvent(
  deps: IntakeDeps,
  { vendor, account, event }: Signed & { event: MessageEvent },
): Promise<void> {
  const take =
    groups.get(deps.db) ??
    createGroups<Signed & { event: MessageEvent }>({
      most: mostAtOnce,
      async work(_accountId, items) {
        const [first] = items;
        if (first !== undefined) {
          await takeEvents(deps, { ...first, events: items.map((item) => item.event) });
        }
      },
    });
  groups.set(deps.db, take);
  await take(account.id, { vendor, account, event });
}

const mostAtOnce = 1_000;
const groups = new WeakMap<
  Knex,
  ReturnType<typeof createGroups<Signed & { event: MessageEvent }>>
>();

/** Stores what customers wrote, does what they wish, and counts it. */
export async function takeInbound(
  { db, metrics }: IntakeDeps,
  { vendor, account, notes }: Signed & { notes: readonly Omit<InboundNote, 'id'>[] },
): Promise<{ stored: number }> {
  const stored = await whileInTheWay(() =>
    storeInbound(db, {
      accountId: account.id,
      tenantId: account.tenantId,
      notes: notes.map((note) => ({ ...note, id: newId() })),
    }),
  );
  count(metrics, vendor, { inbound: stored, inboundKnown: notes.length - stored });
  return { stored };
}

/** Counts what was passed over, by reason. */
export function countSkipped(
  { metrics }: Pick<IntakeDeps, 'metrics'>,
  vendor: Vendor,
  skipped: Readonly<Record<string, number>>,
): void {
  count(metrics, vendor, skipped);
}

const storeAttempts = 3;

async function whileInTheWay<T>(store: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await store();
    } catch (error) {
      if (attempt === storeAttempts || !isTransactionConflict(error)) {
        throw error;
      }
    }
  }
}

const counterName = 'carillon_webhook_events_total';

function count(metrics: Registry, vendor: Vendor, results: Readonly<Record<string, number>>): void {
  const known = metrics.getSingleMetric(counterName);
  const counter =
    known instanceof Counter
      ? known
      : new Counter({
          name: counterName,
          help: 'What providers posted, by what became of it',
          labelNames: ['vendor', 'result'],
          registers: [metrics],
        });
  for (const [result, events] of Object.entries(results)) {
    counter.inc({ vendor, result }, events);
  }
}
