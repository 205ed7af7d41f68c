import { raw, type QueryBuilder } from 'objection';
import type { EventSource } from '../../domain/messages/events';
import type { Proof } from '../../domain/messages/doubts/types';
import { ledgerStates, type MessageFact, type MessageState } from '../../domain/messages/states';
import type { Knex } from '../../lib/db';
import type { SortKey } from '../pages';
import { LedgerMessage } from './LedgerMessage';

export interface MessageFilters {
  state?: MessageState | undefined;
  reason?: string | undefined;
  customerId?: string | undefined;
  fact?: MessageFact | undefined;
}

/** A run, or null for the one that is not there yet: it has no messages. */
interface RunKey {
  tenantId: string;
  runId: string | null;
}

export const messageSorts = {
  n: { by: 'n', type: 'bigint' },
} as const satisfies Record<string, SortKey>;

/** The messages of a run that fit all the filters. */
export function messagesWhere(
  trx: Knex.Transaction,
  { tenantId, runId }: RunKey,
  filters: MessageFilters,
): QueryBuilder<LedgerMessage, LedgerMessage[]> {
  const conditions = ['m.run_id = :runId', 'm.tenant_id = :tenantId'];
  if (filters.state !== undefined) {
    conditions.push(stateCondition(filters.state));
  }
  if (filters.reason !== undefined) {
    conditions.push('case when m.outcome is null then d.reason else m.reason end = :reason');
  }
  if (filters.customerId !== undefined) {
    conditions.push('m.customer_id = :customerId');
  }
  if (filters.fact !== undefined) {
    conditions.push(`m.${factColumns[filters.fact]} is not null`);
  }
  const bindings = {
    tenantId,
    runId,
    ...(filters.state === undefined ? {} : { state: ledgerStates[filters.state] }),
    ...(filters.reason === undefined ? {} : { reason: filters.reason }),
    ...(filters.customerId === undefined ? {} : { customerId: filters.customerId }),
  };
  // Left joins on keys: a page joins its own rows only, a count none.
  return LedgerMessage.query(trx).from(
    raw(`(${selectMessages} where ${conditions.join(' and ')}) as messages`, bindings),
  );
}

// A lane of single calls is at some message: those before it are settled, those after it wait.
const followed = `case when d.state <> 'calling' or d.intent_upto is null then d.state
  when m.n <= d.settled_upto then 'accepted' when m.n > d.intent_upto then 'claimed'
  else d.state end`;

const selectMessages = `
  select m.run_id, m.n, m.customer_id, m.channel, coalesce(m.outcome, ${followed}) as state,
         case when m.outcome is null then d.reason else m.reason end as reason,
         m.dispatch_n, d.plan_version, d.wave_n, d.time_zone, d.called_at, d.provider_message_id,
         m.delivered_at, m.bounced_at, m.complained_at, m.first_opened_at, m.first_clicked_at,
         m.unsubscribed_at, c.id is not null as is_customer_there, c.email, c.phone, c.first_name,
         c.last_name
    from messages m
    left join dispatches d on d.run_id = m.run_id and d.n = m.dispatch_n
    left join customers c on c.tenant_id = m.tenant_id and c.id = m.customer_id`;

// Outcomes of a message's own have an index; what only dispatches say has not.
function stateCondition(state: MessageState): string {
  switch (state) {
    case 'leftOut':
      return 'm.outcome = :state';
    case 'refused':
      return '(m.outcome = :state or (m.outcome is null and d.state = :state))';
    case 'planned':
    case 'claimed':
    case 'calling':
    case 'accepted':
    case 'inDoubt':
    case 'unconfirmed':
    case 'cancelled':
    case 'expired':
      return `m.outcome is null and ${followed} = :state`;
  }
}

const factColumns: Record<MessageFact, string> = {
  delivered: 'delivered_at',
  bounced: 'bounced_at',
  complained: 'complained_at',
  opened: 'first_opened_at',
  clicked: 'first_clicked_at',
  unsubscribed: 'unsubscribed_at',
};

export interface MessageAttempt {
  attempt: number;
  calledAt: Date;
  settledAt: Date | null;
  outcome: 'accepted' | 'refused' | 'throttled' | 'not_sent' | 'in_doubt' | null;
  provenBy: Proof | null;
  status: number | null;
  reason: string | null;
}

export interface StoredMessageEvent {
  kind: string;
  source: EventSource;
  occurredAt: Date;
  receivedAt: Date;
  machine: boolean;
  detail: Record<string, unknown>;
}

/** One message with the calls of its dispatch and what was told of it; null when there is none. */
export async function findMessage(
  trx: Knex.Transaction,
  run: RunKey,
  n: number,
): Promise<{
  message: LedgerMessage;
  attempts: MessageAttempt[];
  events: StoredMessageEvent[];
} | null> {
  const message = await messagesWhere(trx, run, {}).where('n', n).first();
  if (message === undefined) {
    return null;
  }
  const attempts = await trx.raw(
    `select attempt, called_at as "calledAt", settled_at as "settledAt", outcome,
            proven_by as "provenBy", status, reason
       from dispatch_attempts
      where run_id = :runId and dispatch_n = :dispatchN and tenant_id = :tenantId
      order by attempt`,
    { ...run, dispatchN: message.dispatchN },
  );
  const events = await trx.raw(
    `select kind, source, occurred_at as "occurredAt", received_at as "receivedAt",
            coalesce(cast(payload->>'machine' as boolean), false) as machine,
            coalesce(payload->'detail', '{}') as detail
       from message_events
      where run_id = :runId and message_n = :n and tenant_id = :tenantId
      order by occurred_at, id limit 500`,
    { ...run, n },
  );
  return { message, attempts: attempts.rows, events: events.rows };
}
