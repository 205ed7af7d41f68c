import type { CallAttempt, EndedCall } from './calls';

/** What a call came to with one key and model; the calls' sums are theirs, to the micro. */
export interface Share {
  readonly callId: string;
  readonly model: string | null;
  readonly keyId: string | null;
  readonly isOfPlatform: boolean;
  readonly costMicros: number;
  readonly promptTokens: number;
  readonly completionTokens: number;
  /** Whether the call ended with it: there it is counted as one. */
  readonly isEnd: boolean;
}

// What attempts cost elsewhere is booked there, and all the rest where the call ended.
export function sharesOf(call: EndedCall): Share[] {
  const { callId, model, keyId, isOfPlatform, costMicros, usage } = call;
  const others = call.attempts
    .filter((attempt) => attempt.costMicros > 0 && !isWhereItEnded(attempt, call))
    .map((attempt) => ({
      callId,
      model: attempt.model,
      keyId: attempt.keyId,
      isOfPlatform: attempt.isOfPlatform,
      costMicros: attempt.costMicros,
      promptTokens: attempt.usage?.promptTokens ?? 0,
      completionTokens: attempt.usage?.completionTokens ?? 0,
      isEnd: false,
    }));
  const left = (all: number, of: (share: Share) => number) =>
    others.reduce((rest, share) => rest - of(share), all);
  return [
    ...others,
    {
      callId,
      model,
      keyId,
      isOfPlatform,
      costMicros: left(costMicros, (share) => share.costMicros),
      promptTokens: left(usage?.promptTokens ?? 0, (share) => share.promptTokens),
      completionTokens: left(usage?.completionTokens ?? 0, (share) => share.completionTokens),
      isEnd: true,
    },
  ];
}

// The name an answer comes under may be another one than was asked.
function isWhereItEnded(attempt: CallAttempt, call: EndedCall): boolean {
  return (
    attempt.keyId === call.keyId &&
    attempt.isOfPlatform === call.isOfPlatform &&
    (attempt.model === call.model || attempt.failureKind === null)
  );
}

/** What of it the platform's keys cost: the plan's. */
export function platformCost(shares: readonly Share[]): number {
  return shares.reduce((sum, share) => (share.isOfPlatform ? sum + share.costMicros : sum), 0);
}
