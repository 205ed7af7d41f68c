/** Who tells of messages: vendors, and ourselves of what recipients do. */
export const eventSources = ['sendgrid', 'smtp', 'twilio', 'meta', 'carillon'] as const;

export type EventSource = (typeof eventSources)[number];

/** What a provider or a recipient tells about one message after its call. */
export type EventKind =
  | 'processed'
  | 'deferred'
  | 'delivered'
  | 'bounced'
  | 'dropped'
  | 'complained'
  | 'opened'
  | 'clicked'
  | 'unsubscribed';

/** An event as it is stored: ours are numbers within a run, the rest is for people. */
export interface MessageEvent {
  providerEventId: string;
  source: EventSource;
  runId: string | null;
  dispatchN: number | null;
  attempt: number | null;
  messageN: number | null;
  kind: EventKind;
  occurredAt: Date;
  /** The address it speaks of, when it has to be suppressed. */
  suppress: {
    address: string;
    reason: SuppressionReason;
    /** What the address is of; email where nothing is said. */
    channel?: 'sms' | 'whatsapp';
  } | null;
  /** A machine opened it, not a person. */
  machine: boolean;
  detail: Record<string, string>;
}

export type SuppressionReason = 'unsubscribed' | 'bounced' | 'complained' | 'invalid' | 'manual';
