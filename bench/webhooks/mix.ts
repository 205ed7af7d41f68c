import { createHash } from 'node:crypto';
import { seededRandom } from '../../sandbox/chance';

/** The messages of one call, by their numbers. */
export interface BenchCall {
  n: number;
  first: number;
  last: number;
}

/** A share of the ledger's events: of every `of`-th message, beginning with number `share`. */
export interface MixOrder {
  runId: string;
  calls: readonly BenchCall[];
  share: number;
  of: number;
  seed: string;
}

export interface Mix {
  /** JSON texts of events in the order they are posted, doubles included. */
  events: string[];
  distinct: number;
  /** What the ledger has to show when all of them are applied. */
  facts: MixFacts;
}

export interface MixFacts {
  delivered: number;
  bounced: number;
  complained: number;
  opened: number;
  clicked: number;
  unsubscribed: number;
}

// How long a campaign takes to leave, and the vendor to tell of it, on the clock of the mix.
const sendingSeconds = 30;
const doubled = 0.05;

/**
 * Events as they come after a campaign: each message is processed, then delivered or not, some are
 * opened and clicked, all with their own delays, so that the kinds and the messages run into each
 * other; one in twenty comes twice.
 */
export function mixEvents(order: MixOrder): Mix {
  const random = seededRandom(`${order.seed} ${order.share}`);
  const total = Math.max(...order.calls.map((call) => call.last));
  const startedAt = Math.floor(Date.now() / 1000) - 60;
  const timed: { at: number; text: string }[] = [];
  const facts: MixFacts = {
    delivered: 0,
    bounced: 0,
    complained: 0,
    opened: 0,
    clicked: 0,
    unsubscribed: 0,
  };
  let distinct = 0;
  for (const call of order.calls) {
    for (let n = call.first; n <= call.last; n += 1) {
      if (n % order.of !== order.share) {
        continue;
      }
      const sentAt = (n / total) * sendingSeconds;
      const add = (delay: number, kind: string, fields: Record<string, unknown>) => {
        const at = sentAt + delay * random();
        const text = eventText(order.runId, call, { n, kind, at: startedAt + at, fields });
        distinct += 1;
        timed.push({ at, text });
        if (random() < doubled) {
          timed.push({ at: at + 2 * random(), text });
        }
      };
      recipientDoes({ random, add, facts });
    }
  }
  timed.sort((a, b) => a.at - b.at);
  return { events: timed.map(({ text }) => text), distinct, facts };
}

interface Recipient {
  random: () => number;
  add: (delaySeconds: number, kind: string, fields: Record<string, unknown>) => void;
  facts: MixFacts;
}

function recipientDoes({ random, add, facts }: Recipient): void {
  add(1, 'processed', {});
  if (random() < 0.02) {
    add(5, 'bounce', bounce);
    facts.bounced += 1;
    return;
  }
  if (random() < 0.01) {
    add(2, 'deferred', { response: '451 4.7.1 Greylisted', attempt: '1', tls: 1, ip });
  }
  add(5, 'delivered', { response: '250 2.0.0 OK  1790000000 abcdef.123 - gsmtp', tls: 1, ip });
  facts.delivered += 1;
  if (random() < 0.25) {
    add(6, 'open', { useragent: 'Mozilla/5.0', ip, sg_machine_open: true });
  }
  const opens = random() < 0.3 ? 1 + Number(random() < 0.1) : 0;
  for (let open = 0; open < opens; open += 1) {
    add(10, 'open', { useragent: agent, ip, sg_content_type: 'html', sg_machine_open: false });
  }
  facts.opened += Math.min(opens, 1);
  if (random() < 0.06) {
    const url = 'https://shop.example/spring?utm_source=carillon&utm_medium=email';
    add(12, 'click', { useragent: agent, ip, url, url_offset: { index: 0, type: 'html' } });
    facts.clicked += 1;
  }
  if (random() < 0.001) {
    add(12, 'spamreport', {});
    facts.complained += 1;
  }
  if (random() < 0.001) {
    add(12, 'unsubscribe', {});
    facts.unsubscribed += 1;
  }
}

const ip = '203.0.113.7';
const agent =
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36';
const bounce = {
  type: 'bounce',
  status: '5.1.1',
  reason: '550 5.1.1 The email account that you tried to reach does not exist.',
  bounce_classification: 'Invalid Address',
  tls: 1,
  ip,
};

let made = 0;

function eventText(
  runId: string,
  call: BenchCall,
  event: { n: number; kind: string; at: number; fields: Record<string, unknown> },
): string {
  made += 1;
  const id = createHash('md5')
    .update(`${runId} ${event.n} ${event.kind} ${made}`)
    .digest('base64url');
  return JSON.stringify({
    email: `customer.${event.n}@mail.example.com`,
    timestamp: Math.floor(event.at),
    'smtp-id': `<${id}@geopod-ismtpd-1>`,
    sg_event_id: `${id}ZGVsaXZlcmVkLTAtMTIz`,
    sg_message_id: `c2VuZGdyaWQ${call.n}.recvd-6f4b-2.${event.n}.0`,
    carillon_r: runId,
    carillon_d: `${call.n}.1`,
    carillon_m: String(event.n),
    event: event.kind,
    ...event.fields,
  });
}
