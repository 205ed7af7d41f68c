import { createOneRenderer } from '../../activities/messages/renderOne';
import { createRunContents } from '../../activities/messages/runContent';
import { createDatabase } from '../../lib/db';
import { createSealing, parseSealingKeys } from '../../lib/sealing';
import { createTrackingTokens } from '../../lib/trackingTokens';
import { loadRecipients, type Recipient } from '../../models/messages/recipients';
import type { BareReport } from './bare';
import { openBareSender, type BareClient } from './bareClients';
import { publicUrl, sealingKeys, trackingSecret } from './ground';

/** What a bare process is told: send this run of the tenant, so many calls at a time in each lane. */
export interface OneByOneOrder {
  tenantId: string;
  runId: string;
  accountId: string;
  client: BareClient;
  lanes: number;
}

const atOnce = 64;

/**
 * The least that a sender of one call a message must do, in a process of its own: claim a dispatch,
 * load and render its recipients as the product does, call, settle the dispatch. No workflow, no gate, no rate, nothing kept of single calls.
 */
function main(): void {
  const [databaseUrl] = process.argv.slice(2);
  if (databaseUrl === undefined) {
    throw new Error('bareOneByOne DATABASE_URL');
  }
  const db = createDatabase({ url: databaseUrl, applicationName: 'bare-loop', poolMax: 20 });
  const sealing = createSealing(parseSealingKeys(sealingKeys));
  const links = {
    publicUrl,
    trackingTokens: createTrackingTokens([{ id: 1, secret: trackingSecret }]),
  };
  const contentOf = createRunContents({ db });

  process.on('message', (order: OneByOneOrder) => {
    send(order).then(
      (report) => process.send?.(report),
      (error: unknown) => {
        process.stderr.write(`${String(error)}\n`);
        process.exit(1);
      },
    );
  });
  process.on('disconnect', () => process.exit(0));
  process.send?.({ kind: 'ready' });

  async function send(order: OneByOneOrder): Promise<BareReport> {
    const { tenantId, runId, accountId, client } = order;
    const sender = await openBareSender({ db, sealing }, accountId, client);
    const content = await contentOf(tenantId, runId);
    const render = createOneRenderer(links, content, runId);
    const report: BareReport = { kind: 'done', dispatches: 0, messages: 0 };
    const lane = async (): Promise<void> => {
      for (;;) {
        const claimed = await db.raw(claimSql, { runId });
        const dispatch: ClaimedRow | undefined = claimed.rows[0];
        if (dispatch === undefined) {
          return;
        }
        const recipients: Recipient[] = [];
        const { channel, fields } = content;
        await loadRecipients(db, { tenantId, runId, channel, dispatch, fields }, (one) => {
          recipients.push(one);
        });
        for (let from = 0; from < recipients.length; from += atOnce) {
          await Promise.all(
            recipients.slice(from, from + atOnce).map(async (recipient) => {
              const message = render(recipient);
              if (message === null) {
                throw new Error(`Message ${recipient.n} cannot be rendered`);
              }
              const reference = { runId, dispatchN: dispatch.n, attempt: 1, messageN: recipient.n };
              await sender.send(message, reference);
            }),
          );
        }
        await db.raw(settleSql, { runId, n: dispatch.n });
        report.dispatches += 1;
        report.messages += recipients.length;
      }
    };
    await Promise.all(Array.from({ length: order.lanes }, lane));
    await sender.close();
    return report;
  }
}

const claimSql = `
  update dispatches
     set state = 'calling', claim_n = claim_n + 1, attempt = attempt + 1,
         called_at = clock_timestamp(), lease_until = clock_timestamp() + interval '60 seconds'
   where run_id = :runId and n = (
     select n from dispatches where run_id = :runId and plan_version = 1 and state = 'planned'
      order by wave_n, n limit 1 for update skip locked)
  returning n, time_zone as "timeZone", first_message_n as "firstMessageN",
    last_message_n as "lastMessageN"`;

const settleSql = `
  update dispatches set state = 'accepted', settled_at = clock_timestamp(), lease_until = null
   where run_id = :runId and n = :n and state = 'calling'`;

interface ClaimedRow {
  n: number;
  timeZone: string;
  firstMessageN: number;
  lastMessageN: number;
}

main();
