/** A refusal as a server says it: code, enhanced code (RFC 3463), words. */
export interface SmtpRefusal {
  code: number;
  text: string;
}

interface AddressBehaviour extends SmtpRefusal {
  /** When it is said: to the recipient's name, or to the message that was handed over. */
  at: 'recipient' | 'message';
  /** Said only to the first message for an address; the next one is taken. */
  once?: boolean;
}

const BEHAVIOURS: Readonly<Record<string, AddressBehaviour>> = {
  bounce: { at: 'recipient', code: 550, text: '5.1.1 The mailbox does not exist' },
  nodomain: { at: 'recipient', code: 550, text: '5.1.2 The domain takes no mail' },
  unknown: { at: 'recipient', code: 550, text: 'No such user here' },
  disabled: { at: 'recipient', code: 550, text: '5.2.1 The mailbox is disabled' },
  full: { at: 'recipient', code: 552, text: '5.2.2 The mailbox is full' },
  block: { at: 'recipient', code: 550, text: '5.7.1 The sender is not welcome here' },
  refused: { at: 'recipient', code: 550, text: 'Refused' },
  defer: {
    at: 'recipient',
    code: 450,
    text: '4.2.1 The mailbox is busy, try again later',
    once: true,
  },
  greylist: { at: 'recipient', code: 451, text: '4.7.1 Greylisted, try again later', once: true },
  fullnow: { at: 'recipient', code: 452, text: '4.2.2 The mailbox is full for now' },
  nospace: { at: 'recipient', code: 452, text: '4.3.1 Not enough room on this server' },
  broken: { at: 'recipient', code: 451, text: '4.3.0 Something went wrong here' },
  busy: { at: 'recipient', code: 421, text: '4.7.0 Too many messages, come back later' },
  spam: { at: 'message', code: 554, text: '5.7.1 The content looks like spam' },
  toobig: { at: 'message', code: 552, text: '5.3.4 The message is too big' },
};

/**
 * How the server answers to addresses. Words of the local part, set off by `+` or `.`, decide
 * (`ana+bounce@…`); without one the message is taken.
 */
export function createSmtpBehaviour() {
  const refusedOnce = new Set<string>();
  return {
    refusalOf(address: string, at: AddressBehaviour['at']): SmtpRefusal | null {
      const words = address.slice(0, address.lastIndexOf('@')).toLowerCase().split(/[+.]/);
      const word = words.find((candidate) => Object.hasOwn(BEHAVIOURS, candidate));
      const behaviour = word === undefined ? undefined : BEHAVIOURS[word];
      if (behaviour?.at !== at || (behaviour.once && refusedOnce.has(address))) {
        return null;
      }
      if (behaviour.once) {
        refusedOnce.add(address);
      }
      return behaviour;
    },
  };
}
