import type { MessageOutcome, MessageReference } from '../types';

/** One email to one recipient, its content rendered. */
export interface OneEmail {
  from: { email: string; name: string | null };
  replyTo: string | null;
  to: { email: string; name: string | null };
  subject: string;
  html: string;
  text: string;
  /** Null for mail that is no advertising. */
  unsubscribeUrl: string | null;
  /** Travels with the message, so that bounces and the vendor's logs can be matched. */
  reference: MessageReference;
}

/** An email vendor of one call per message; it never throws for what a vendor may answer. */
export interface OneByOneEmailProvider {
  /** Names the account whose limits all calls share. */
  accountId: string;
  /**
   * Makes the call at most once, and not when its turn at a connection comes only at `leaveByMs` of
   * `performance.now()` or after.
   */
  send(mail: OneEmail, leaveByMs?: number): Promise<MessageOutcome>;
  /** Lets what is under way finish, then ends every connection; later calls are `notSent`. */
  close(): Promise<void>;
}
