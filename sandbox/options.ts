import type { Logger } from '../lib/logger';
import type { MetaSandboxAccount } from './meta/accounts';
import type { OpenRouterSandboxAccount } from './openrouter/accounts';
import type { FaultRule } from './openrouter/faults';
import type { TwilioSandboxAccount } from './twilio/accounts';
import type { SmtpOptions } from './smtp/options';

/**
 * `inbox` keeps every accepted message and can show it; `sink` counts recipients and forgets them,
 * for benchmarks.
 */
export type SandboxMode = 'inbox' | 'sink';

/** Where the vendor's events go, and the P-256 key (PKCS#8 PEM) that signs them. */
export interface WebhookTarget {
  url: string;
  privateKeyPem: string;
}

/** How a simulated audience behaves: each rate is a share of 0..1 of the recipients. */
export interface EngagementRates {
  openRate: number;
  machineOpenRate: number;
  clickRate: number;
  bounceRate: number;
  blockRate: number;
  complaintRate: number;
  unsubscribeRate: number;
}

/** What an ordinary newsletter sees, for demonstrations. */
export const DEMO_ENGAGEMENT: EngagementRates = {
  openRate: 0.42,
  machineOpenRate: 0.14,
  clickRate: 0.12,
  bounceRate: 0.012,
  blockRate: 0.004,
  complaintRate: 0.001,
  unsubscribeRate: 0.006,
};

export interface SandboxOptions {
  /** 0 lets the operating system choose. */
  port: number;
  /** Default 127.0.0.1. */
  host?: string;
  /** Folder for the journals; without it everything is kept in memory and ends with the process. */
  dataDir?: string;
  /** Default `inbox`. */
  mode?: SandboxMode;
  /** Without it no events are produced. */
  webhook?: WebhookTarget;
  /** Accepted bearer keys; default any that starts with `SG.`. */
  apiKeys?: string[];
  /** The mail server beside the HTTP stand-ins; without it there is none. */
  smtp?: SmtpOptions;
  /** Twilio accounts that may call; default the demo account. */
  twilioAccounts?: readonly TwilioSandboxAccount[];
  /** WhatsApp numbers at Meta that may send; default the demo number. */
  metaAccounts?: readonly MetaSandboxAccount[];
  /** Accounts and keys at OpenRouter; default two accounts of three keys each. */
  openRouterAccounts?: readonly OpenRouterSandboxAccount[];
  /** What goes wrong at OpenRouter from the start; default nothing. */
  openRouterFaults?: readonly FaultRule[];
  /** Makes the simulated audience and the answers of models repeatable; default `carillon`. */
  eventSeed?: string;
  /** Default none: recipients act only as their address says. */
  engagement?: EngagementRates;
  logger: Logger;
}
