import { createHash } from 'node:crypto';
import { validate } from 'uuid';
import { classify, verdictOf, type Verdict } from '../../domain/tracking/classify';
import { networkOf } from '../../domain/tracking/networks';
import type { EventKind, MessageEvent, SuppressionReason } from '../../domain/messages/events';
import { cleaned } from '../vendorText';

/** Why an event was passed over: it is no event of ours, or tells nothing the ledger keeps. */
export type SkipReason = 'unreadable' | 'unknownKind' | 'notOurs';

export interface ReadEvents {
  events: MessageEvent[];
  skipped: Record<SkipReason, number>;
}

/**
 * SendGrid's events in our words. What came without our arguments, or with others of that name,
 * speaks of its address alone, so it is kept only when that address has to be suppressed.
 */
export function readSendGridEvents(batch: readonly unknown[], receivedAt: Date): ReadEvents {
  const read: ReadEvents = { events: [], skipped: { unreadable: 0, unknownKind: 0, notOurs: 0 } };
  for (const item of batch) {
    const event = readEvent(item, receivedAt);
    if (typeof event === 'string') {
      read.skipped[event] += 1;
    } else {
      read.events.push(event);
    }
  }
  return read;
}

const kinds: Readonly<Record<string, EventKind>> = {
  processed: 'processed',
  deferred: 'deferred',
  delivered: 'delivered',
  bounce: 'bounced',
  dropped: 'dropped',
  spamreport: 'complained',
  open: 'opened',
  click: 'clicked',
  unsubscribe: 'unsubscribed',
  group_unsubscribe: 'unsubscribed',
};

function readEvent(item: unknown, receivedAt: Date): MessageEvent | SkipReason {
  if (!isObject(item) || typeof item.event !== 'string') {
    return 'unreadable';
  }
  const kind = Object.hasOwn(kinds, item.event) ? kinds[item.event] : undefined;
  if (kind === undefined) {
    return 'unknownKind';
  }
  const suppress = suppressionOf(kind, item);
  const ours = referenceOf(item);
  if (ours === null && suppress === null) {
    return 'notOurs';
  }
  const verdict = verdictOn(kind, item);
  return {
    providerEventId: eventIdOf(item),
    source: 'sendgrid',
    ...(ours ?? { runId: null, dispatchN: null, attempt: null, messageN: null }),
    kind,
    occurredAt: instantOf(item.timestamp, receivedAt),
    suppress,
    machine: verdict !== null && verdict.class !== 'human',
    detail: { ...detailOf(item), ...verdict },
  };
}

/** Who opened or clicked, where the vendor's own tracking was not switched off for the call. */
function verdictOn(kind: EventKind, item: Record<string, unknown>): Verdict | null {
  if (kind !== 'opened' && kind !== 'clicked') {
    return null;
  }
  const isMachineByProvider = item.sg_machine_open === true;
  const userAgent = textOf(item.useragent);
  if (userAgent === '' && !isMachineByProvider) {
    // The vendor does not always tell; that it told nothing is no sign of a program.
    return verdictOf('person');
  }
  return classify({
    kind,
    method: 'GET',
    userAgent,
    purposes: [],
    network: networkOf(textOf(item.ip)),
    sinceHandoverMs: null,
    isMachineByProvider,
  });
}

type Reference = Pick<MessageEvent, 'runId' | 'dispatchN' | 'attempt' | 'messageN'>;

/** Our arguments, all of them or none: a part alone was not written by us. */
function referenceOf(item: Record<string, unknown>): Reference | null {
  const { carillon_r: run, carillon_d: call, carillon_m: message } = item;
  const [, dispatchN, attempt] = /^(\d{1,10})\.(\d{1,10})$/.exec(textOf(call)) ?? [];
  const numbers = [dispatchN, attempt, /^\d{1,10}$/.exec(textOf(message))?.[0]].map(Number);
  // The columns are 32 bits wide; a missing part is NaN here and fails too.
  if (!validate(run) || !numbers.every((number) => number >= 1 && number <= 0x7fff_ffff)) {
    return null;
  }
  const [n = 0, attemptN = 0, messageN = 0] = numbers;
  return { runId: textOf(run).toLowerCase(), dispatchN: n, attempt: attemptN, messageN };
}

const dropReasons: Readonly<Record<string, SuppressionReason>> = {
  'bounced address': 'bounced',
  'spam reporting address': 'complained',
  'unsubscribed address': 'unsubscribed',
  invalid: 'invalid',
};

function suppressionOf(
  kind: EventKind,
  item: Record<string, unknown>,
): MessageEvent['suppress'] | null {
  const reason = suppressionReason(kind, item);
  const address = cleaned(textOf(item.email)).trim();
  return reason === null || address === '' || address.length > 320 ? null : { address, reason };
}

function suppressionReason(
  kind: EventKind,
  item: Record<string, unknown>,
): SuppressionReason | null {
  switch (kind) {
    case 'bounced':
      // A block is of this mail or its sender, not of the address.
      return item.type === 'bounce' ? 'bounced' : null;
    case 'dropped': {
      const reason = textOf(item.reason).trim().toLowerCase();
      return Object.hasOwn(dropReasons, reason) ? (dropReasons[reason] ?? null) : null;
    }
    case 'complained':
      return 'complained';
    case 'unsubscribed':
      return 'unsubscribed';
    case 'processed':
    case 'deferred':
    case 'delivered':
    case 'opened':
    case 'clicked':
      return null;
  }
}

const maxIdLength = 200;

// An event that came without its id is known again by what it says.
function eventIdOf(item: Record<string, unknown>): string {
  const id = cleaned(textOf(item.sg_event_id));
  return id !== '' && id.length <= maxIdLength
    ? id
    : `sha256:${createHash('sha256').update(JSON.stringify(item)).digest('base64url')}`;
}

// The vendor began in 2009; what says it is older, or of tomorrow, has a broken clock.
const earliestMs = Date.UTC(2009, 0, 1);
const clockSkewMs = 86_400_000;

function instantOf(seconds: unknown, receivedAt: Date): Date {
  const ms = typeof seconds === 'number' ? Math.round(seconds * 1000) : Number.NaN;
  const isPlausible = ms >= earliestMs && ms <= receivedAt.getTime() + clockSkewMs;
  return isPlausible ? new Date(ms) : receivedAt;
}

// What a person who looks at one message wants to know; the vendor's other fields repeat ours.
const detailFields = {
  reason: 'reason',
  status: 'status',
  response: 'response',
  type: 'type',
  attempt: 'attempt',
  url: 'url',
  useragent: 'userAgent',
  bounce_classification: 'classification',
  sg_message_id: 'providerMessageId',
} as const;

const maxDetailLength = 1_000;

function detailOf(item: Record<string, unknown>): Record<string, string> {
  return Object.fromEntries(
    Object.entries(detailFields)
      .map(
        ([field, name]) => [name, cleaned(textOf(item[field]).slice(0, maxDetailLength))] as const,
      )
      .filter(([, text]) => text !== ''),
  );
}

function textOf(value: unknown): string {
  return typeof value === 'string' || typeof value === 'number' ? String(value) : '';
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
