import type { Channel } from '../../domain/campaigns/types';

/** How a customer `c` is reached on a channel, in SQL. */
export interface Reach {
  /** Where messages of the channel go. */
  address: string;
  /** The same as suppressions have it. */
  suppressionKey: string;
  consent: string;
}

export const reachOf: Record<Channel, Reach> = {
  email: { address: 'c.email', suppressionKey: 'lower(c.email)', consent: 'c.email_consent' },
  sms: { address: 'c.phone', suppressionKey: 'c.phone', consent: 'c.sms_consent' },
  whatsapp: { address: 'c.phone', suppressionKey: 'c.phone', consent: 'c.whatsapp_consent' },
};

/**
 * SQL, at the end of a subquery that makes keys of suppressions: it is worked out by itself. Under
 * row-level security a function like lower() in the condition of a join keeps Postgres from looking
 * with the index; a key that is there already does not.
 */
export const keysFirst = 'offset 0';
