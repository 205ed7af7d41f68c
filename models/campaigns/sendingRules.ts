import type { Knex } from 'knex';
import type { FrequencyCap, SendingRules } from '../../domain/campaigns/rules/types';
import type { Channel, Schedule } from '../../domain/campaigns/types';

/** What the tenant's campaigns keep to when their schedules say nothing of it. */
export async function loadSendingRules(
  trx: Knex.Transaction,
  tenantId: string,
): Promise<SendingRules> {
  const found = await trx.raw(
    `select quiet_hours as "quietHours", frequency_caps as "frequencyCaps"
       from tenants where id = ?`,
    [tenantId],
  );
  const row: StoredRules = found.rows[0];
  return {
    quietHours: row.quietHours,
    frequencyCaps: { ...noCaps, ...row.frequencyCaps },
  };
}

const noCaps = { email: null, sms: null, whatsapp: null };

interface StoredRules {
  quietHours: SendingRules['quietHours'];
  frequencyCaps: Partial<Record<Channel, FrequencyCap | null>>;
}

/** Writes them whole. What is scheduled already keeps to what held then. */
export async function storeSendingRules(
  trx: Knex.Transaction,
  tenantId: string,
  rules: SendingRules,
): Promise<void> {
  await trx.raw(
    `update tenants set quiet_hours = cast(:quietHours as jsonb),
            frequency_caps = cast(:frequencyCaps as jsonb), updated_at = now()
      where id = :tenantId`,
    {
      tenantId,
      quietHours: rules.quietHours === null ? null : JSON.stringify(rules.quietHours),
      frequencyCaps: JSON.stringify(rules.frequencyCaps),
    },
  );
}

/**
 * The schedule with the rules it is frozen with: what it does not mention is as the tenant has it,
 * null in it means none whatever the tenant has.
 */
export async function withSendingRules(
  trx: Knex.Transaction,
  campaign: { tenantId: string; channel: Channel },
  given: Schedule,
): Promise<Schedule> {
  const rules = await loadSendingRules(trx, campaign.tenantId);
  const { quietHours, frequencyCap, ...schedule } = given;
  const hours = quietHours === undefined ? rules.quietHours : quietHours;
  const cap = frequencyCap === undefined ? rules.frequencyCaps[campaign.channel] : frequencyCap;
  return {
    ...schedule,
    ...(hours === null ? {} : { quietHours: hours }),
    ...(cap === null ? {} : { frequencyCap: cap }),
  };
}
