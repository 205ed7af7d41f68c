import { createReadStream } from 'node:fs';
import { createInterface } from 'node:readline';
import { z } from 'zod';
import { withTenant } from '../../models/base';
import { reachOf } from '../../models/customers/reach';
import { countRun, type RunCounts } from '../../models/messages/counts';
import { metaVendor } from '../../sandbox/meta/acceptedMessage';
import { createSendGridVendor } from '../../sandbox/sendgrid/acceptedMail';
import { createSmtpVendor } from '../../sandbox/smtp/acceptedMail';
import { twilioVendor } from '../../sandbox/twilio/acceptedMessage';
import { channelOf } from './accounts';
import type { FiredCampaign } from './campaign';
import type { ProcessGround } from './ground';

/** What became of everybody: the sandbox's journal held against the ledger. */
export interface Tally {
  /** Messages the provider took, repetitions included. */
  sent: number;
  /** Customers the provider never heard of and whose call is not listed as in doubt. */
  lost: number;
  /** Customers the provider took more than once. */
  duplicated: number;
  /** Messages whose call is still in doubt, or was until its deadline. */
  inDoubtOpen: number;
  /** The calls behind `inDoubtOpen`, for a person to look at. */
  doubts: { n: number; state: string; attempt: number; messages: number; reason: string | null }[];
  /** Whether every counter is what a recount says. */
  countersMatch: boolean;
  /** What does not fit, in words; empty when all does. */
  problems: string[];
  counts: RunCounts;
}

/** Counts against the journal, message by message; expects that nothing moves any more. */
export async function tally(
  ground: Pick<ProcessGround, 'db' | 'journalFile'>,
  campaign: FiredCampaign,
): Promise<Tally> {
  const { tenantId, run } = campaign;
  const received = await readJournal(ground.journalFile, run.id);
  const sent = [...received.values()].reduce((sum, times) => sum + times, 0);
  const rows = await readLedger(ground, campaign);
  const problems: string[] = [];
  const doubtful = new Set(['in_doubt', 'unconfirmed']);
  let [lost, duplicated] = [0, 0];
  for (const { address, state, outcome } of rows) {
    const times = received.get(address) ?? 0;
    received.delete(address);
    if (times > 1) {
      duplicated += 1;
    }
    if (times === 0 && outcome === null && !doubtful.has(state ?? '')) {
      lost += 1;
      problems.push(`${state ?? 'without a message'}, but never received`);
    }
    if (times > 0 && state !== 'accepted' && !doubtful.has(state ?? '')) {
      problems.push(`received, but ${state ?? 'without a message'}`);
    }
    if (times > 0 && outcome !== null) {
      problems.push(`received, but ${outcome}`);
    }
  }
  if (received.size > 0) {
    problems.push(`${received.size} addresses received something and are no customers`);
  }

  const counts = await withTenant(ground.db, tenantId, (trx) => countRun(trx, tenantId, run.id));
  const recount = await recountMessages(ground, campaign);
  const wrong = counted
    .filter((name) => counts[name] !== recount[name])
    .map((name) => `${name} counts ${counts[name]}, recounted ${recount[name]}`);
  const doubts = await readDoubts(ground, campaign);
  return {
    sent,
    lost,
    duplicated,
    inDoubtOpen: counts.inDoubt + counts.unconfirmed,
    doubts,
    countersMatch: wrong.length === 0 && counts.planned === campaign.customers,
    problems: [...summarise(problems), ...wrong],
    counts,
  };
}

const Journaled = z.object({
  n: z.number(),
  vendor: z.string(),
  messageId: z.string(),
  receivedAt: z.iso.datetime(),
  events: z.boolean(),
  body: z.unknown(),
});

// Each stand-in understands what it once accepted.
const vendors = new Map(
  [
    createSendGridVendor({ seed: 'tally', engagement: null }),
    twilioVendor,
    metaVendor,
    createSmtpVendor(),
  ].map((vendor) => [vendor.name, vendor]),
);

/** How often the provider took a message for each address, in one run. */
/** How often the provider took something of the run, by address. */
export async function readJournal(file: string, runId: string): Promise<Map<string, number>> {
  const received = new Map<string, number>();
  for await (const line of createInterface({ input: createReadStream(file) })) {
    // Every body names its run, in whatever form; understanding one takes a while.
    if (!line.includes(runId) && !line.includes(runId.replaceAll('-', ''))) {
      continue;
    }
    const { body, receivedAt, ...header } = Journaled.parse(JSON.parse(line));
    const request = vendors
      .get(header.vendor)
      ?.open({ ...header, receivedAt: Date.parse(receivedAt) }, Buffer.from(JSON.stringify(body)));
    for (const { to, run } of request?.deliveries ?? []) {
      if (run === runId) {
        const address = to.replace(/^whatsapp:/, '');
        received.set(address, (received.get(address) ?? 0) + 1);
      }
    }
  }
  return received;
}

interface LedgerRow {
  address: string;
  outcome: string | null;
  state: string | null;
}

async function readLedger(
  ground: Pick<ProcessGround, 'db'>,
  { tenantId, run, route }: FiredCampaign,
): Promise<LedgerRow[]> {
  const found = await ground.db.raw(
    `select ${reachOf[channelOf[route]].address} as address, m.outcome, d.state
       from customers c
       left join messages m on m.run_id = :runId and m.customer_id = c.id
       left join dispatches d on d.run_id = m.run_id and d.n = m.dispatch_n
      where c.tenant_id = :tenantId`,
    { tenantId, runId: run.id },
  );
  return found.rows;
}

const counted = [
  'planned',
  'accepted',
  'refused',
  'inDoubt',
  'unconfirmed',
  'cancelled',
  'expired',
  'open',
  'leftOut',
  'delivered',
  'bounced',
  'complained',
  'opened',
  'clicked',
  'unsubscribed',
] as const;

/** The same counts as the dispatches carry, from the single messages. */
async function recountMessages(
  ground: Pick<ProcessGround, 'db'>,
  { run }: FiredCampaign,
): Promise<RunCounts> {
  const follows = (...states: string[]) =>
    `count(*) filter (where m.outcome is null and d.state in (${states.map((state) => `'${state}'`).join(', ')}))`;
  const found = await ground.db.raw(
    `select count(*) as planned, ${follows('accepted')} as accepted,
            ${follows('refused')} + count(*) filter (where m.outcome = 'refused') as refused,
            ${follows('in_doubt')} as "inDoubt", ${follows('unconfirmed')} as unconfirmed,
            ${follows('cancelled')} as cancelled, ${follows('expired')} as expired,
            ${follows('planned', 'claimed', 'calling')} as open,
            count(*) filter (where m.outcome = 'left_out') as "leftOut",
            count(m.delivered_at) as delivered, count(m.bounced_at) as bounced,
            count(m.complained_at) as complained, count(m.first_opened_at) as opened,
            count(m.first_clicked_at) as clicked, count(m.unsubscribed_at) as unsubscribed
       from messages m join dispatches d on d.run_id = m.run_id and d.n = m.dispatch_n
      where m.run_id = ?`,
    [run.id],
  );
  return found.rows[0];
}

async function readDoubts(
  ground: Pick<ProcessGround, 'db'>,
  { run }: FiredCampaign,
): Promise<Tally['doubts']> {
  return ground
    .db('dispatches')
    .where({ run_id: run.id })
    .whereIn('state', ['in_doubt', 'unconfirmed'])
    .orderBy('n')
    .select('n', 'state', 'attempt', 'message_count as messages', 'reason');
}

// "lost" a thousand times is one line with its number.
function summarise(problems: string[]): string[] {
  const times = new Map<string, number>();
  for (const problem of problems) {
    times.set(problem, (times.get(problem) ?? 0) + 1);
  }
  return [...times].map(([problem, count]) => (count === 1 ? problem : `${count} × ${problem}`));
}
