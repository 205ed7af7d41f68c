/** What an error of Meta is about, and so what has to be done. */
export type ErrorClass =
  /** The recipient does not want messages of this sender. */
  | 'optedOut'
  /** Not reached this time, or not by Meta's choice; says nothing for good of the number. */
  | 'unreachable'
  /** This recipient's rendered text, or this recipient's 24 hours. */
  | 'thisMessage'
  /** Too much at once for this one recipient. */
  | 'tooManyToOne'
  /** Token, number, payment, permission, policy: it would be the same for everybody. */
  | 'configuration'
  /** The template, the media or the shape of this campaign's messages. */
  | 'template'
  /** Never taken: too much at once. */
  | 'throttled'
  /** Never taken: an allowance of the hour is used up. */
  | 'usedUp'
  /** The vendor does not know itself what became of it. */
  | 'unknownEffect';

/**
 * Every code we know, by what it is about. Most come as the answer to a call, many as the status
 * `failed` of a message that was accepted, some as both: the meaning is the same.
 */
export const errorClasses: Readonly<Record<number, ErrorClass>> = {
  0: 'configuration', // authentication
  1: 'unknownEffect', // a wrong request or an error of theirs
  2: 'unknownEffect', // overloaded or down
  3: 'configuration', // permission; comes with a 500
  4: 'usedUp', // the app's calls
  10: 'configuration', // permission
  33: 'configuration', // the number was deleted
  100: 'template', // a parameter is wrong or misspelled
  190: 'configuration', // the token is over
  368: 'configuration', // restricted for violating a policy
  613: 'throttled',
  80007: 'usedUp', // calls of the business account
  130429: 'throttled', // messages a second of the number
  130472: 'unreachable', // the recipient is part of an experiment
  130497: 'unreachable', // not to the recipient's country; to others as ever
  131000: 'unknownEffect',
  131005: 'configuration', // permission
  131008: 'template', // a parameter is missing
  131009: 'template', // a parameter has a wrong value
  131016: 'unknownEffect', // unavailable
  131021: 'thisMessage', // the recipient is the sender
  // Not on WhatsApp, an old app, or terms that were not agreed to: the vendor does not say which,
  // and all of them pass, so the number stays.
  131026: 'unreachable',
  131030: 'configuration', // a test number, whose recipients are listed
  131031: 'configuration', // the account is locked
  131037: 'configuration', // the number's name is not approved
  131042: 'configuration', // payment
  131045: 'configuration', // the number's certificate
  131047: 'thisMessage', // outside of the 24 hours; another customer's may be open
  131048: 'configuration', // restricted because recipients blocked or reported the number
  131049: 'unreachable', // had enough marketing from everybody; trying soon makes it worse
  131050: 'optedOut', // of marketing by this sender
  131051: 'template', // a kind of message that is not supported
  131052: 'template', // media that could not be loaded
  131053: 'template', // media that could not be used
  131055: 'configuration', // the number may not do that
  131056: 'tooManyToOne',
  131057: 'usedUp', // the number is being moved to a higher throughput, for minutes
  132000: 'template', // another number of variables
  132001: 'template', // no such template in this language
  132005: 'thisMessage', // too long with this recipient's values
  132007: 'template', // its text violates a policy
  132012: 'template', // a variable of another kind
  132015: 'template', // paused for its quality
  132016: 'template', // paused for good
  132018: 'thisMessage', // a value with line breaks or gaps
  132068: 'template', // the flow behind its button is blocked
  132069: 'template', // the same, throttled
  133000: 'configuration', // the number is being deregistered
  133004: 'unknownEffect', // unavailable
  133005: 'configuration', // two-step PIN
  133006: 'configuration', // the number has to be verified
  133008: 'configuration', // two-step PIN, too many guesses
  133009: 'configuration', // two-step PIN, too fast
  133010: 'configuration', // the number is not registered
  133015: 'configuration', // the number was deleted just now
  134011: 'configuration', // terms of payments
  135000: 'unknownEffect',
};

/** The class of a code; null for one we do not know, or none. */
export function errorClassOf(code: number | null): ErrorClass | null {
  if (code === null) {
    return null;
  }
  // A whole hundred is about permissions.
  return code >= 200 && code <= 299 ? 'configuration' : (errorClasses[code] ?? null);
}
