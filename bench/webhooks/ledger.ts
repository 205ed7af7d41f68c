import type { Knex } from '../../lib/db';
import { createTenant } from '../campaign/customers';
import { writePlannedRun } from '../campaign/runs';
import type { BenchCall, MixFacts } from './mix';

export interface SentLedger {
  runId: string;
  calls: BenchCall[];
}

/** A run by the product's own planning, with every call of it accepted, as a campaign leaves it. */
export async function writeSentLedger(db: Knex, messages: number): Promise<SentLedger> {
  const tenant = await createTenant(db, messages);
  const { run } = await writePlannedRun(db, tenant, { isEnded: true });
  await db.raw(
    `with sent as (
       update dispatches set state = 'accepted', attempt = 1, called_at = now(), settled_at = now()
        where run_id = ? returning run_id, n, tenant_id
     )
     insert into dispatch_attempts (run_id, dispatch_n, attempt, tenant_id, settled_at, outcome, proven_by)
     select run_id, n, 1, tenant_id, now(), 'accepted', 'reply' from sent`,
    [run.id],
  );
  const calls = await db.raw(
    `select n, first_message_n as first, last_message_n as last from dispatches
      where run_id = ? order by n`,
    [run.id],
  );
  await db.raw('vacuum (analyze)');
  await db.raw('checkpoint');
  return { runId: run.id, calls: calls.rows };
}

/** Events that are stored and not applied. */
export async function countWaiting(db: Knex): Promise<number> {
  const waiting = await db.raw(`select coalesce(sum(event_count), 0) as n from waiting_events`);
  return Number(waiting.rows[0].n);
}

export interface LedgerFigures {
  stored: number;
  setAside: number;
  /** As the dispatches count them. */
  counted: MixFacts;
  /** As the messages have them. */
  recounted: MixFacts;
}

/** What the ledger has become, counted in both ways it can be. */
export async function readLedger(db: Knex, runId: string): Promise<LedgerFigures> {
  const events = await db.raw(
    `select count(*) as stored, count(set_aside) as "setAside" from message_events where run_id = ?`,
    [runId],
  );
  const counted = await db.raw(
    `select sum(delivered_count) as delivered, sum(bounced_count) as bounced,
            sum(complained_count) as complained, sum(opened_count) as opened,
            sum(clicked_count) as clicked, sum(unsubscribed_count) as unsubscribed
       from dispatches where run_id = ?`,
    [runId],
  );
  const recounted = await db.raw(
    `select count(delivered_at) as delivered, count(bounced_at) as bounced,
            count(complained_at) as complained, count(first_opened_at) as opened,
            count(first_clicked_at) as clicked, count(unsubscribed_at) as unsubscribed
       from messages where run_id = ?`,
    [runId],
  );
  return {
    stored: events.rows[0].stored,
    setAside: events.rows[0].setAside,
    counted: counted.rows[0],
    recounted: recounted.rows[0],
  };
}
