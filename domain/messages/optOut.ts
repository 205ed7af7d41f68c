/** What an answer asks for: no more messages, messages again, or who is writing. */
export type OptOutWish = 'stop' | 'start' | 'help';

// The vendor's words of long numbers (the first eight), and what customers elsewhere answer with.
const words: Readonly<Record<string, OptOutWish>> = {
  STOP: 'stop',
  UNSUBSCRIBE: 'stop',
  END: 'stop',
  QUIT: 'stop',
  STOPALL: 'stop',
  REVOKE: 'stop',
  OPTOUT: 'stop',
  CANCEL: 'stop',
  STOPP: 'stop',
  ARRET: 'stop',
  BAJA: 'stop',
  SAIR: 'stop',
  СТОП: 'stop',
  // Buttons of templates on WhatsApp, as their makers are told to name them.
  STOPPROMOTIONS: 'stop',
  UNSUBSCRIBEFROMPROMOS: 'stop',
  UNSUBSCRIBEFROMALL: 'stop',
  START: 'start',
  YES: 'start',
  UNSTOP: 'start',
  HELP: 'help',
  INFO: 'help',
};

/**
 * The wish of an answer that consists of one of the known words and nothing else; case, accents,
 * spaces and punctuation do not matter ("Stop.", "opt out"). `vendorSays` is what a vendor that
 * looks itself made of it (Twilio's `OptOutType`); a stop that either of the two sees is a stop.
 * A start takes a stop back and is no consent by itself: "yes" may answer something else.
 */
export function optOutWish(text: string, vendorSays: string | null = null): OptOutWish | null {
  const read = wishOf(text);
  const told = vendorSays === null ? null : wishOf(vendorSays);
  return read === 'stop' ? read : (told ?? read);
}

function wishOf(text: string): OptOutWish | null {
  const word = text
    .normalize('NFKD')
    .replace(/[\p{M}\p{P}\p{Z}\p{C}]/gu, '')
    .toUpperCase();
  return Object.hasOwn(words, word) ? (words[word] ?? null) : null;
}
