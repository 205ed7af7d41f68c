import type { Knex } from 'knex';
import * as identity from './0001_identity';
import * as customers from './0002_customers';
import * as campaigns from './0003_campaigns';
import * as ledger from './0004_ledger';
import * as requests from './0005_requests';
import * as testSends from './0006_test_sends';
import * as ledgerStatistics from './0007_ledger_statistics';
import * as customerReach from './0008_customer_reach';
import * as customersByZone from './0009_customers_by_zone';
import * as eventIntake from './0010_event_intake';
import * as trackingClasses from './0011_tracking_classes';
import * as rateLimits from './0012_rate_limits';
import * as providerAccounts from './0013_provider_accounts';
import * as accountsInRuns from './0014_accounts_in_runs';
import * as inbound from './0015_inbound';
import * as channelContents from './0016_channel_contents';
import * as transactional from './0017_transactional';
import * as contacts from './0018_contacts';
import * as doubts from './0019_doubts';
import * as walls from './0020_walls';
import * as people from './0021_identity';
import * as audit from './0022_audit';
import * as rateCounters from './0023_rate_counters';
import * as plans from './0024_plans';
import * as dataKeys from './0025_data_keys';
import * as sealingKeys from './0026_sealing_keys';
import * as customerTags from './0027_customer_tags';
import * as signIn from './0030_sign_in';
import * as tenantsAndPeople from './0031_people';
import * as signInLimits from './0032_sign_in_limits';
import * as llm from './0033_llm';
import * as content from './0034_content';
import * as llmSpending from './0041_llmSpending';
import * as configuredKeys from './0042_configured_keys';
import * as llmCatalogue from './0043_llm_catalogue';
import * as contentModels from './0046_content_models';
import * as sealedAnswers from './0047_sealed_answers';
import * as waveWindows from './0048_wave_windows';

interface Migration {
  up(knex: Knex): Promise<void>;
  down(knex: Knex): Promise<void>;
}

// Bare names, so that the record is the same whether tsx, Jest or the build ran it.
const migrations = new Map<string, Migration>([
  ['0001_identity', identity],
  ['0002_customers', customers],
  ['0003_campaigns', campaigns],
  ['0004_ledger', ledger],
  ['0005_requests', requests],
  ['0006_test_sends', testSends],
  ['0007_ledger_statistics', ledgerStatistics],
  ['0008_customer_reach', customerReach],
  ['0009_customers_by_zone', customersByZone],
  ['0010_event_intake', eventIntake],
  ['0011_tracking_classes', trackingClasses],
  ['0012_rate_limits', rateLimits],
  ['0013_provider_accounts', providerAccounts],
  ['0014_accounts_in_runs', accountsInRuns],
  ['0015_inbound', inbound],
  ['0016_channel_contents', channelContents],
  ['0017_transactional', transactional],
  ['0018_contacts', contacts],
  ['0019_doubts', doubts],
  ['0020_walls', walls],
  ['0021_identity', people],
  ['0022_audit', audit],
  ['0023_rate_counters', rateCounters],
  ['0024_plans', plans],
  ['0025_data_keys', dataKeys],
  ['0026_sealing_keys', sealingKeys],
  ['0027_customer_tags', customerTags],
  ['0030_sign_in', signIn],
  ['0031_people', tenantsAndPeople],
  ['0032_sign_in_limits', signInLimits],
  ['0033_llm', llm],
  ['0034_content', content],
  ['0041_llm_spending', llmSpending],
  ['0042_configured_keys', configuredKeys],
  ['0043_llm_catalogue', llmCatalogue],
  ['0046_content_models', contentModels],
  ['0047_sealed_answers', sealedAnswers],
  ['0048_wave_windows', waveWindows],
]);

/** All of them, in order. */
export const migrationNames: readonly string[] = [...migrations.keys()];

/** Where Knex finds the migrations: a list in order, never a folder scan. */
export const migrationSource: Knex.MigrationSource<string> = {
  getMigrations: () => Promise.resolve([...migrations.keys()]),
  getMigrationName: (name) => name,
  getMigration: (name) => {
    const migration = migrations.get(name);
    if (migration === undefined) {
      return Promise.reject(new Error(`There is no migration ${name}`));
    }
    return Promise.resolve(migration);
  },
};

/** Brings the schema to the newest version; answers the names that were run now. */
export async function migrate(db: Knex): Promise<string[]> {
  const [, names] = await db.migrate.latest({ migrationSource });
  return names;
}
