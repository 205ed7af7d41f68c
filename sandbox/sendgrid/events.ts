import { createHash } from 'node:crypto';
import { chanceOf } from '../chance';
import type { RequestHeader } from '../journal';
import type { Link, StageContent, StageSummary, VendorEvent, Visit } from '../vendor';
import { isLoopback } from '../visits';
import type { Step } from './behaviour';
import type { Mail } from './mail';

/** One copy of the mail and what its recipient makes of it. */
export interface EventCopy {
  ordinal: number;
  address: string;
  customArgs: Record<string, string>;
  steps: readonly Step[];
  /** Read only when the recipient acts on the content. */
  content(): { links: Link[]; pixels: string[]; unsubscribeUrl: string | null };
}

// Kinds of one phase travel together. Those of one message lie in different phases.
const PHASES: Record<Step['kind'], { name: string; order: number }> = {
  processed: { name: 'processed', order: 0 },
  dropped: { name: 'fate', order: 1 },
  deferred: { name: 'fate', order: 1 },
  delivered: { name: 'fate', order: 1 },
  bounced: { name: 'fate', order: 1 },
  blocked: { name: 'fate', order: 1 },
  open: { name: 'open', order: 2 },
  machineOpen: { name: 'open', order: 2 },
  click: { name: 'click', order: 3 },
  complaint: { name: 'complaint', order: 4 },
  unsubscribe: { name: 'unsubscribe', order: 4 },
};

const PERSON_AGENTS = [
  'Mozilla/5.0 (Windows NT 10.0; Win64; x64) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Safari/537.36',
  'Mozilla/5.0 (Macintosh; Intel Mac OS X 10_15_7) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Safari/605.1.15',
  'Mozilla/5.0 (iPhone; CPU iPhone OS 18_1 like Mac OS X) AppleWebKit/605.1.15 (KHTML, like Gecko) Version/18.1 Mobile/15E148 Safari/604.1',
  'Mozilla/5.0 (Linux; Android 15; Pixel 9) AppleWebKit/537.36 (KHTML, like Gecko) Chrome/131.0.0.0 Mobile Safari/537.36',
];
// Apple's privacy proxy says no more than this.
const MACHINE_AGENT = 'Mozilla/5.0';

/** The stages of a request's events, in the order they happen. */
export function stagesOf(copies: readonly EventCopy[]): StageSummary[] {
  const sizes = new Map<string, { delayMs: number; order: number; size: number }>();
  for (const { steps } of copies) {
    for (const step of steps) {
      const known = sizes.get(stageName(step));
      if (known) {
        known.size += 1;
      } else {
        const { order } = PHASES[step.kind];
        sizes.set(stageName(step), { delayMs: step.delayMs, order, size: 1 });
      }
    }
  }
  return [...sizes]
    .sort(([, a], [, b]) => a.delayMs - b.delayMs || a.order - b.order)
    .map(([name, { delayMs, size }]) => ({ name, delayMs, size }));
}

/** What one stage posts to the webhook, and whom its recipients visit themselves. */
export function stageContent(
  request: RequestHeader,
  mail: Mail,
  copies: readonly EventCopy[],
  name: string,
): StageContent {
  const events: VendorEvent[] = [];
  const visits: Visit[] = [];
  for (const copy of copies) {
    for (const step of copy.steps) {
      if (stageName(step) === name) {
        const visited = visitsOf(step, copy, mail);
        if (visited === null) {
          events.push(eventOf(request, mail, copy, step));
        } else {
          visits.push(...visited);
        }
      }
    }
  }
  return { events, visits };
}

function stageName({ kind, delayMs }: Step): string {
  return `${PHASES[kind].name}@${delayMs}`;
}

/** The vendor reports only what it tracks itself; the rest the recipient does for real. */
function visitsOf(step: Step, copy: EventCopy, mail: Mail): Visit[] | null {
  const { opens, clicks, unsubscribes } = mail.tracking;
  const userAgent = agentOf(step, copy.address);
  switch (step.kind) {
    case 'open':
    case 'machineOpen':
      return opens
        ? null
        : copy.content().pixels.map((url) => ({ purpose: 'open', url, userAgent }));
    case 'click': {
      const link = clicks ? null : copy.content().links.find(({ url }) => isLoopback(url));
      return clicks ? null : link ? [{ purpose: 'click', url: link.url, userAgent }] : [];
    }
    case 'unsubscribe': {
      const url = unsubscribes ? null : copy.content().unsubscribeUrl;
      return unsubscribes ? null : url ? [{ purpose: 'unsubscribe', url, userAgent }] : [];
    }
    case 'processed':
    case 'delivered':
    case 'deferred':
    case 'dropped':
    case 'bounced':
    case 'blocked':
    case 'complaint':
      return null;
  }
}

function eventOf(request: RequestHeader, mail: Mail, copy: EventCopy, step: Step): VendorEvent {
  const { categories } = mail;
  return {
    // The vendor lays custom arguments beside its own fields, which win.
    ...copy.customArgs,
    email: copy.address,
    timestamp: Math.floor((request.receivedAt + step.delayMs) / 1_000),
    'smtp-id': `<${request.messageId}@geopod-ismtpd-sandbox>`,
    ...(categories.length > 0
      ? { category: categories.length === 1 ? categories[0] : categories }
      : {}),
    sg_event_id: eventId(request.messageId, copy.ordinal, step.kind),
    sg_message_id: `${request.messageId}.sandbox-0.${copy.ordinal}.0`,
    ...detailsOf(step, copy),
  };
}

function detailsOf({ kind }: Step, copy: EventCopy): VendorEvent {
  const ip = '127.0.0.1';
  switch (kind) {
    case 'processed':
      return { event: 'processed' };
    case 'delivered':
      return { event: 'delivered', response: '250 2.0.0 OK', tls: 1, ip };
    case 'deferred':
      return {
        event: 'deferred',
        response: '451 4.7.1 Greylisted, please try again later',
        attempt: '1',
        tls: 1,
        ip,
      };
    case 'dropped':
      return { event: 'dropped', reason: 'Bounced Address', status: '5.0.0' };
    case 'bounced':
      return {
        event: 'bounce',
        type: 'bounce',
        status: '5.1.1',
        reason: '550 5.1.1 The email account that you tried to reach does not exist.',
        bounce_classification: 'Invalid Address',
        tls: 1,
        ip,
      };
    case 'blocked':
      return {
        event: 'bounce',
        type: 'blocked',
        status: '5.7.1',
        reason: '550 5.7.1 Message refused because of the reputation of its sender.',
        bounce_classification: 'Reputation',
        tls: 1,
        ip,
      };
    case 'open':
    case 'machineOpen':
      return {
        event: 'open',
        useragent: agentOf({ kind, delayMs: 0 }, copy.address),
        ip,
        sg_content_type: 'html',
        sg_machine_open: kind === 'machineOpen',
      };
    case 'click':
      return {
        event: 'click',
        useragent: agentOf({ kind, delayMs: 0 }, copy.address),
        ip,
        url: copy.content().links[0]?.url ?? '',
        url_offset: { index: 0, type: 'html' },
      };
    case 'complaint':
      return { event: 'spamreport' };
    case 'unsubscribe':
      return { event: 'unsubscribe' };
  }
}

function agentOf({ kind }: Step, address: string): string {
  if (kind === 'machineOpen') {
    return MACHINE_AGENT;
  }
  const choice = Math.floor(chanceOf(`agent/${address}`) * PERSON_AGENTS.length);
  return PERSON_AGENTS[choice] ?? MACHINE_AGENT;
}

// Made from what the event is about, so that it is the same event after a restart.
function eventId(messageId: string, ordinal: number, kind: string): string {
  const digest = createHash('sha256').update(`${messageId}/${ordinal}/${kind}`).digest('base64url');
  return digest.slice(0, 24);
}
