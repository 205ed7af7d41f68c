import type { AccountChannel } from '../messages/accounts/types';
import type { FrequencyCap } from './rules/types';
import type { WaveSpec } from './waves';

/** Whose messages a campaign holds. Everything given must hold; nothing given means everyone. */
export interface Audience {
  /** Customers with at least one of these tags. Empty: no condition. */
  includeTags: string[];
  /** Customers with any of these tags are not in. */
  excludeTags: string[];
  /** Only these customers. Empty: no condition. */
  customerIds: string[];
}

/** A schedule is the wave spec as its author gave it, and how often its customers may be written to. */
export type Schedule = WaveSpec & { frequencyCap?: FrequencyCap | null };

export type Channel = AccountChannel;

export type RunState = 'planning' | 'waiting' | 'sending' | 'completed' | 'cancelled' | 'failed';

/** Whether calls to a provider may leave: the one switch every call is checked against. */
export type Gate = 'open' | 'paused' | 'closed';

/** What a call in doubt becomes after its deadline: unconfirmed, accepted, or planned once more. */
export const doubtPolicies = ['hold', 'assumeAccepted', 'sendAgain'] as const;

export type DoubtPolicy = (typeof doubtPolicies)[number];

/** What people see of a campaign: the run's state and gate as one word. */
export type CampaignStatus =
  | 'draft'
  | 'scheduled'
  | 'sending'
  | 'paused'
  | 'completed'
  | 'cancelled'
  | 'failed';

export const runIsOpen: Record<RunState, boolean> = {
  planning: true,
  waiting: true,
  sending: true,
  completed: false,
  cancelled: false,
  failed: false,
};

/** The status of a campaign whose newest run is in this state; without a run it is a draft. */
export function campaignStatus(run: { state: RunState; gate: Gate } | null): CampaignStatus {
  if (run === null) {
    return 'draft';
  }
  if (runIsOpen[run.state] && run.gate === 'paused') {
    return 'paused';
  }
  return statusOfState[run.state];
}

const statusOfState: Record<RunState, CampaignStatus> = {
  planning: 'scheduled',
  waiting: 'scheduled',
  sending: 'sending',
  completed: 'completed',
  cancelled: 'cancelled',
  failed: 'failed',
};

/** Why a customer of the audience has no message, or a message no call. */
export type LeftOutReason =
  | 'noAddress'
  | 'withdrawn'
  | 'suppressed'
  | 'sameAddress'
  | 'erased'
  | 'unknownZone'
  | 'hourPast'
  | 'capped'
  | 'renderFailed';

/** Who did something to a campaign. A user has an id; an operator works in the Temporal UI. */
export interface Actor {
  kind: 'user' | 'operator' | 'system';
  id: string | null;
}
