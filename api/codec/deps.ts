import type { Config } from '../../lib/config';
import type { Knex } from '../../lib/db';
import type { Logger } from '../../lib/logger';
import type { Registry } from '../../lib/metrics';
import type { DataKeys } from '../../lib/payloadCodec';
import type { Sealing } from '../../lib/sealing';
import type { RateLimits } from '../rateLimits';

/** What the codec server works with; one object made by server.ts, or by a test. */
export interface CodecDeps {
  readonly config: Config;
  readonly db: Knex;
  readonly logger: Logger;
  readonly metrics: Registry;
  readonly sealing: Sealing;
  readonly dataKeys: DataKeys;
  /** Digests of addresses, under which wrong passwords are counted. */
  readonly addressHash: (address: string) => string;
  /** Shared with the API: who guesses here has fewer guesses there. */
  readonly rateLimits: RateLimits;
  /** Where the UI is opened, whose pages may ask; without it no other page may. */
  readonly uiUrl: string | undefined;
}
