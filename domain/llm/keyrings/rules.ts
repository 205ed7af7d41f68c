/** When a keyring does what it does. */
export interface KeyringRules {
  /** After the end of a cooling, the next call that comes is let find out how things are. */
  graceMs: number;
  /** The same for models: others serve meanwhile. */
  modelGraceMs: number;
  limitsEveryMs: number;
  balanceEveryMs: number;
  lookWhenWellMs: number;
  lookWhenNotMs: number;
  /** How long a key that was rotated may still end what it began. */
  drainMs: number;
  /** What lasts longer is the limit of a day: asking cannot end it. */
  longestUrgentMs: number;
  /** As often a balance is asked for in vain before a call of a model is to tell. */
  mostBalancesUnread: number;
  /** Whether what was asked while somebody waited counts when somebody waits again. */
  recallsUrgent: boolean;
}

export const keyringRules: KeyringRules = {
  graceMs: 2_000,
  modelGraceMs: 30_000,
  limitsEveryMs: 15 * 60_000,
  balanceEveryMs: 5 * 60_000,
  lookWhenWellMs: 5 * 60_000,
  lookWhenNotMs: 30_000,
  drainMs: 10 * 60_000,
  longestUrgentMs: 60 * 60_000,
  mostBalancesUnread: 1,
  recallsUrgent: true,
};

/** Those of histories that began before it asked further. */
export const rulesBefore: KeyringRules = {
  ...keyringRules,
  mostBalancesUnread: Infinity,
  recallsUrgent: false,
};
