import { Agent, request } from 'node:http';
import { Pool } from 'pg';
import type { BareOrder, BareReport } from './bare';
import { readBodies } from './bodies';

/**
 * The least a sender must do, in a process of its own: claim a dispatch, select its messages, POST
 * its prepared body, settle it. No workflow, no rendering, no gate, no checks.
 */
async function main(): Promise<void> {
  const [databaseUrl, sandboxUrl, bodiesFile, indexFile, apiKey] = process.argv.slice(2);
  if (!databaseUrl || !sandboxUrl || !bodiesFile || !indexFile || !apiKey) {
    throw new Error('bareLoop DATABASE_URL SANDBOX_URL BODIES INDEX API_KEY');
  }
  const bodies = readBodies(bodiesFile, indexFile);
  const pool = new Pool({ connectionString: databaseUrl, max: 20 });
  const agent = new Agent({ keepAlive: true });
  const post = (body: Buffer) =>
    postBody({ url: `${sandboxUrl}/v3/mail/send`, agent, apiKey, body });

  const lane = async (order: BareOrder, report: BareReport): Promise<void> => {
    for (;;) {
      const claimed = await pool.query({ name: 'claim', text: claimSql, values: [order.runId] });
      const dispatch: ClaimedRow | undefined = claimed.rows[0];
      if (dispatch === undefined) {
        return;
      }
      const selected = await pool.query({
        name: 'select',
        text: selectSql,
        values: [order.runId, dispatch.first_message_n, dispatch.last_message_n],
      });
      const body = bodies.get(dispatch.n);
      if (body === undefined) {
        throw new Error(`There is no body for dispatch ${dispatch.n}`);
      }
      const messageId = await post(body);
      await pool.query({
        name: 'settle',
        text: settleSql,
        values: [order.runId, dispatch.n, messageId],
      });
      report.dispatches += 1;
      report.messages += selected.rows.length;
    }
  };

  process.on('message', (order: BareOrder) => {
    const report: BareReport = { kind: 'done', dispatches: 0, messages: 0 };
    Promise.all(Array.from({ length: order.lanes }, () => lane(order, report))).then(
      () => process.send?.(report),
      (error: unknown) => {
        process.stderr.write(`${String(error)}\n`);
        process.exit(1);
      },
    );
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.({ kind: 'ready' });
}

const claimSql = `
  update dispatches
     set state = 'calling', claim_n = claim_n + 1, attempt = attempt + 1,
         called_at = clock_timestamp(), lease_until = clock_timestamp() + interval '60 seconds'
   where run_id = $1 and n = (
     select n from dispatches where run_id = $1 and plan_version = 1 and state = 'planned'
      order by wave_n, n limit 1 for update skip locked)
  returning n, first_message_n, last_message_n`;

const selectSql = `
  select n, customer_id from messages
   where run_id = $1 and n between $2 and $3 and outcome is null order by n`;

const settleSql = `
  update dispatches
     set state = 'accepted', settled_at = clock_timestamp(), lease_until = null,
         provider_message_id = $3
   where run_id = $1 and n = $2 and state = 'calling'`;

interface ClaimedRow {
  n: number;
  first_message_n: number;
  last_message_n: number;
}

function postBody(call: {
  url: string;
  agent: Agent;
  apiKey: string;
  body: Buffer;
}): Promise<string | null> {
  return new Promise((resolve, reject) => {
    const outgoing = request(
      call.url,
      {
        method: 'POST',
        agent: call.agent,
        headers: {
          authorization: `Bearer ${call.apiKey}`,
          'content-type': 'application/json',
          'content-length': call.body.length,
        },
      },
      (response) => {
        response.resume();
        response.on('end', () => {
          if (response.statusCode !== 202) {
            reject(new Error(`The sandbox answered ${response.statusCode}`));
            return;
          }
          const id = response.headers['x-message-id'];
          resolve(typeof id === 'string' ? id : null);
        });
        response.on('error', reject);
      },
    );
    outgoing.on('error', reject);
    outgoing.end(call.body);
  });
}

main().catch((error: unknown) => {
  process.stderr.write(`${String(error)}\n`);
  process.exit(1);
});
