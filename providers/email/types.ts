/** One message of a call: an address and what differs from the shared template. */
export interface EmailRecipient {
  /** The message's number in its run: the only reference that leaves us. */
  messageN: number;
  email: string;
  name: string | null;
  /** A JSON object of texts: token in the template → value of this recipient. */
  substitutionsJson: string;
  /** Null for mail that is no advertising. */
  unsubscribeUrl: string | null;
  /** Address, name and link are known to hold nothing that a vendor would have to be spared of. */
  isPlain?: boolean;
}

/** One call to an email provider, up to its batch size. */
export interface EmailCall {
  from: { email: string; name: string | null };
  replyTo: string | null;
  subject: string;
  html: string;
  text: string;
  recipients: EmailRecipient[];
  /** Goes to the provider and comes back with every event. */
  reference: { runId: string; dispatchN: number; attempt: number };
  /** The provider checks the call and delivers nothing. */
  dryRun?: boolean;
}

/**
 * What a provider made of a call, classified once. `inDoubt` is everything that may have been
 * accepted: it is never sent again blindly.
 */
export type EmailOutcome =
  | { kind: 'accepted'; status: number; providerMessageId: string | null }
  /** For good, because of these recipients alone. */
  | { kind: 'recipientsRefused'; status: number; reason: string; messageNs: number[] }
  /** For good, whoever the recipients are: sender, content, credentials. */
  | { kind: 'messageRefused'; status: number; reason: string }
  /** For good, and nobody says why. */
  | { kind: 'refused'; status: number; reason: string }
  /** Not taken; the whole account waits. */
  | { kind: 'throttled'; status: number; reason: string; retryAfterMs: number }
  /** Surely not taken, the vendor or the way to it is down. */
  | { kind: 'notSent'; status: number | null; reason: string; retryAfterMs: number }
  | { kind: 'inDoubt'; status: number | null; reason: string };

/**
 * A call that is being written. A recipient is turned into the vendor's own bytes as soon as it is
 * added, so that a thousand of them are never held as texts.
 */
export interface EmailDraft {
  add(recipient: EmailRecipient): void;
  /** Makes the call, once, for everyone who was added but the messages in `without`. */
  send(message: Omit<EmailCall, 'recipients'>, without: ReadonlySet<number>): Promise<EmailOutcome>;
}

/** An email vendor: one call, one classified outcome; it never throws for what a vendor may answer. */
export interface EmailProvider {
  /** Names the account whose limits all calls share. */
  accountId: string;
  maxRecipients: number;
  draft(): EmailDraft;
  /** The whole call at once, where there are few recipients. */
  send(call: EmailCall): Promise<EmailOutcome>;
}
