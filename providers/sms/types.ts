import type { LookUp, MessageOutcome, MessageReference } from '../types';

/** Who a message comes from: a number or name of ours, or a vendor's pool of them. */
export type SmsSender = { from: string } | { messagingServiceSid: string };

/** One text message to one phone. */
export interface Sms {
  /** E.164. */
  to: string;
  sender: SmsSender;
  body: string;
  /** Goes to the provider and comes back with every event. */
  reference: MessageReference;
  /** Where the provider reports to; without it nothing is heard of the message again. */
  statusCallbackUrl: string | null;
  /** The provider drops what has waited longer in its own queue: 1 to 36,000 seconds. */
  validForSeconds?: number;
}

/** What is known of a call whose answer was lost. */
export interface SmsSearch {
  to: string;
  sender: SmsSender;
  body: string;
  /** When the call was made. */
  calledAt: Date;
  /** Ids of messages that are known to belong to other calls. */
  knownIds: readonly string[];
}

/** An SMS vendor: one call, one classified outcome; it never throws for what a vendor may answer. */
export interface SmsProvider {
  /** Names the account whose limits all calls share. */
  accountId: string;
  send(sms: Sms): Promise<MessageOutcome>;
  /** Asks the vendor for the message of a call in doubt, where it can be asked. */
  lookUp?(search: SmsSearch): Promise<LookUp>;
  /** Ends idle connections. */
  close(): void;
}
