/** How a message stands: its own outcome, else that of its dispatch, as the ledger writes it. */
export const ledgerStates = {
  planned: 'planned',
  claimed: 'claimed',
  calling: 'calling',
  accepted: 'accepted',
  refused: 'refused',
  inDoubt: 'in_doubt',
  unconfirmed: 'unconfirmed',
  cancelled: 'cancelled',
  expired: 'expired',
  leftOut: 'left_out',
} as const;

export type MessageState = keyof typeof ledgerStates;

export const messageStates = [
  'planned',
  'claimed',
  'calling',
  'accepted',
  'refused',
  'inDoubt',
  'unconfirmed',
  'cancelled',
  'expired',
  'leftOut',
] as const satisfies readonly MessageState[];

/** The state as callers know it. */
export function messageState(inLedger: string): MessageState {
  const state = messageStates.find((name) => ledgerStates[name] === inLedger);
  if (state === undefined) {
    throw new Error(`No message is ever shown as ${inLedger}`);
  }
  return state;
}

/** What can happen to a message after its call; each is a time on its row. */
export const messageFacts = [
  'delivered',
  'bounced',
  'complained',
  'opened',
  'clicked',
  'unsubscribed',
] as const;

export type MessageFact = (typeof messageFacts)[number];
