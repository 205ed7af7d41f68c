import type { MessageEvent } from '../../domain/messages/events';
import type { Vendor } from '../../domain/messages/accounts/types';
import { isTransactionConflict } from '../../lib/databaseErrors';
import { newId } from '../../lib/ids';
import { Counter, type Registry } from '../../lib/metrics';
import { storeDelivery } from '../../models/messages/events';
import { storeInbound, type InboundNote } from '../../models/messages/inbound';
import type { WebhookAccount } from '../../models/messages/webhookAccounts';
import type { ApiDeps } from '../deps';

type IntakeDeps = Pick<ApiDeps, 'db' | 'metrics'>;

/** Events of one vendor's delivery, and how many others were passed over, by reason. */
export interface ReadDelivery {
  vendor: Vendor;
  /** Whose key signed it. */
  accountId: string;
  events: readonly MessageEvent[];
  skipped: Readonly<Record<string, number>>;
}

/**
 * Stores a delivery and counts what became of it. It stores in one order everywhere, so that the
 * same events in two deliveries wait, not lock up.
 */
export async function takeEvents(
  { db, metrics }: IntakeDeps,
  { vendor, accountId, events, skipped }: ReadDelivery,
): Promise<{ stored: number }> {
  const keyOf = (event: MessageEvent) => `${event.runId ?? ''}/${event.providerEventId}`;
  const ordered = events
    .map((event) => ({ key: keyOf(event), event }))
    .sort((a, b) => (a.key < b.key ? -1 : 1))
    .map(({ event }) => event);
  const { stored, wrongAccount } = await whileInTheWay(() =>
    storeDelivery(db, { accountId, events: ordered }),
  );
  const known = events.length - stored - wrongAccount;
  count(metrics, vendor, { stored, known, wrongAccount, ...skipped });
  return { stored };
}

/** What customers wrote, by one account. */
export async function takeInbound(
  { db, metrics }: IntakeDeps,
  { id, tenantId, opened }: Pick<WebhookAccount<Vendor>, 'id' | 'tenantId' | 'opened'>,
  messages: readonly Omit<InboundNote, 'id'>[],
): Promise<{ stored: number }> {
  const notes = messages.map((message) => ({ ...message, id: newId() }));
  const stored = await whileInTheWay(() => storeInbound(db, { accountId: id, tenantId, notes }));
  count(metrics, opened.vendor, { inbound: stored, inboundKnown: notes.length - stored });
  return { stored };
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

function count(metrics: Registry, vendor: Vendor, results: Record<string, number>): void {
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
