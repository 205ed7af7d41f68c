import type { RequestHeader } from './journal';

/** One recipient's copy of an accepted request, as the inbox indexes it. */
export interface Delivery {
  to: string;
  subject: string;
  /** The sender's own name for the occasion (`carillon_r`), which tells repetition from a new mail. */
  run: string | null;
}

export interface Address {
  email: string;
  name: string | null;
}

export interface Link {
  url: string;
  text: string;
}

/** What a list shows of a message; cheap to make. */
export interface Envelope {
  recipient: Address;
  from: Address;
  subject: string;
  customArgs: Record<string, string>;
  /** What the simulated mail world makes of it, e.g. `delivered` or `bounced`. */
  outcome: string;
}

/** A message as its recipient has it in front of them. */
export interface MessageContent extends Envelope {
  to: Address[];
  cc: Address[];
  replyTo: Address | null;
  html: string | null;
  text: string | null;
  headers: Record<string, string>;
  categories: string[];
  attachments: { filename: string; type: string; bytes: number }[];
  links: Link[];
  /** The part of the vendor's request that made this message. */
  raw: unknown;
}

export type VendorEvent = Record<string, unknown>;

/** A real request made by a simulated recipient, on this machine only. */
export interface Visit {
  purpose: 'open' | 'click' | 'unsubscribe';
  url: string;
  userAgent: string;
}

/** A group of events (or visits) of one request that fall due together; stages follow one another. */
export interface StageSummary {
  name: string;
  /** After the request's acceptance. */
  delayMs: number;
  size: number;
}

export interface StageContent {
  events: VendorEvent[];
  visits: Visit[];
}

/**
 * An accepted request with its body understood. Everything it tells is computed from the body and
 * the header alone, so that it tells the same after a restart.
 */
export interface OpenRequest {
  /** In the order that numbers the messages of the request. */
  deliveries: readonly Delivery[];
  /** Arguments of the first recipient, for the call log. */
  customArgs: Record<string, string>;
  envelope(ordinal: number): Envelope;
  message(ordinal: number): MessageContent;
  stages(): StageSummary[];
  stage(name: string): StageContent;
}

/** Delivers a batch of events as the vendor does; resolves with the status of the answer. */
export type PostEvents = (events: VendorEvent[], signal: AbortSignal) => Promise<number>;

/** A provider that is stood in for: how to understand again what it once accepted. */
export interface Vendor {
  name: string;
  open(header: RequestHeader, body: Buffer): OpenRequest;
}
