/** How a person, or what the vendor answers, ends a doubt. */
export const doubtEnds = ['accepted', 'notSent', 'unconfirmed'] as const;

export type DoubtEnd = (typeof doubtEnds)[number];

/** What may show what became of a call. */
export const proofs = ['reply', 'event', 'lookUp', 'policy', 'operator'] as const;

export type Proof = (typeof proofs)[number];

/** What a vendor says of a call when it is asked. */
export const lookUpAnswers = ['found', 'notFound', 'unknown'] as const;

export type LookUpAnswer = (typeof lookUpAnswers)[number];
