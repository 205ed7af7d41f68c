/** What an error of Twilio is about, and so what has to be done. */
export type ErrorClass =
  /** The recipient does not want messages of this sender. */
  | 'optedOut'
  /** The number does not exist, or can never get such a message. */
  | 'invalidNumber'
  /** Account, sender, region or registration: it would be the same for everybody. */
  | 'configuration'
  /** The template or the media of this campaign. */
  | 'template'
  /** This recipient's rendered text, or this recipient's 24 hours on WhatsApp. */
  | 'thisMessage'
  /** A carrier or channel filtered it; says nothing of the number. */
  | 'filtered'
  /** Never taken: too much at once. */
  | 'throttled'
  /** A queue of the sender or the account is full: never taken, and not soon. */
  | 'queueFull'
  /** Not reached this time. */
  | 'unreachable';

/** Every code that asks for something else than its HTTP status would. */
export const errorClasses: Readonly<Record<number, ErrorClass>> = {
  20003: 'configuration', // authentication
  20429: 'throttled',
  21211: 'invalidNumber',
  21408: 'configuration', // region not enabled
  21601: 'configuration', // From cannot send SMS
  21606: 'configuration', // From is not ours
  21608: 'configuration', // trial account
  21610: 'optedOut',
  21611: 'queueFull',
  21612: 'configuration', // no route from this sender
  21614: 'invalidNumber', // not a mobile
  21617: 'thisMessage', // text too long
  21619: 'thisMessage', // nothing in it
  21635: 'invalidNumber', // landline
  30001: 'queueFull',
  30002: 'configuration', // account suspended
  30003: 'unreachable',
  30004: 'filtered', // blocked
  30005: 'invalidNumber', // unknown handset
  30006: 'invalidNumber', // landline or unreachable carrier
  30007: 'filtered',
  30008: 'unreachable', // unknown
  30034: 'configuration', // unregistered 10DLC
  35125: 'queueFull',
  63014: 'optedOut', // blocked on the channel
  63016: 'thisMessage', // outside of the 24 hours; another customer's may be open
  63017: 'throttled',
  63018: 'throttled',
  63021: 'template',
  63024: 'invalidNumber',
  63049: 'unreachable', // Meta chose not to deliver
};

/** The class of a code; null for one we do not know, or none. */
export function errorClassOf(code: number | null): ErrorClass | null {
  return code === null ? null : (errorClasses[code] ?? null);
}
