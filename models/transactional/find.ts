import { notFound } from '../../domain/errors';
import type { Knex } from '../../lib/db';
import { findMessage } from '../messages/list';

/** A message that was asked for, beside what the ledger says of it. */
interface AskedMessage {
  id: string;
  runId: string;
  n: number;
  /** Null when its address was no customer's. */
  customerId: string | null;
  createdAt: Date;
  waitsUntil: Date | null;
  waitReason: string | null;
}

/** One message with its calls and events, or notFound. */
export async function getTransactional(
  trx: Knex.Transaction,
  { tenantId, id }: { tenantId: string; id: string },
) {
  const found = await trx.raw(
    `select t.id, t.run_id as "runId", t.n, nullif(m.customer_id, t.id) as "customerId",
            t.created_at as "createdAt",
            case when d.state = 'planned' and d.wait_reason is not null then d.not_before end
              as "waitsUntil",
            case when d.state = 'planned' then d.wait_reason end as "waitReason"
       from transactional_messages t
       join messages m on m.run_id = t.run_id and m.n = t.n
       join dispatches d on d.run_id = m.run_id and d.n = m.dispatch_n
      where t.tenant_id = :tenantId and t.id = :id`,
    { tenantId, id },
  );
  const asked: AskedMessage | undefined = found.rows[0];
  const ledger =
    asked === undefined ? null : await findMessage(trx, { tenantId, runId: asked.runId }, asked.n);
  if (asked === undefined || ledger === null) {
    throw notFound('message');
  }
  return { asked, ...ledger };
}
