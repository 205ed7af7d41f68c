import type { WhatsAppContent } from '../../domain/messages/whatsAppContent';
import type { LookUp, MessageOutcome, MessageReference } from '../types';

export type { WhatsAppContent } from '../../domain/messages/whatsAppContent';

/**
 * Who a message comes from: a WhatsApp number of ours (E.164), or a vendor's pool of them. A vendor
 * whose accounts are one number each does not look at it.
 */
export type WhatsAppSender = { from: string } | { messagingServiceSid: string };

/** One WhatsApp message to one person. */
export interface WhatsAppMessage {
  /** E.164. */
  to: string;
  sender: WhatsAppSender;
  content: WhatsAppContent;
  /** Goes to the provider and comes back with every event. */
  reference: MessageReference;
  /** Where the provider reports to, if the message says so itself; null where the account does. */
  statusCallbackUrl: string | null;
}

/** What is known of a call whose answer was lost. */
export interface WhatsAppSearch {
  to: string;
  sender: WhatsAppSender;
  content: WhatsAppContent;
  /** When the call was made. */
  calledAt: Date;
  /** Ids of messages that are known to belong to other calls. */
  knownIds: readonly string[];
}

/** A WhatsApp vendor: one call, one classified outcome; it never throws for what a vendor may answer. */
export interface WhatsAppProvider {
  /** Names the account whose limits all calls share. */
  accountId: string;
  send(message: WhatsAppMessage): Promise<MessageOutcome>;
  /** Asks the vendor for the message of a call in doubt, where it can be asked. */
  lookUp?(search: WhatsAppSearch): Promise<LookUp>;
  /** Ends idle connections. */
  close(): void;
}
