import type { Channel } from '../types';
import type { QuietHours } from '../quietHours';

/** How often a customer may be written to on a channel, by campaigns that cap it. */
export interface FrequencyCap {
  /** At most so many messages… */
  messages: number;
  /** …within so many times 24 hours. */
  days: number;
  /** Who has had them gets this one when the oldest is long enough ago, or not at all. */
  whenCapped: 'later' | 'skip';
}

/** What a tenant's campaigns keep to when their schedules say nothing of it. */
export interface SendingRules {
  quietHours: QuietHours | null;
  frequencyCaps: Record<Channel, FrequencyCap | null>;
}

/** Contacts are of no use to any cap after so many days. */
export const longestCapDays = 90;
