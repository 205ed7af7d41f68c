import { createSealing, parseSealingKeys } from '../../lib/sealing';
import { acrossTenants } from '../../models/base';
import { listSealedOtherwise, type SealedRow } from '../../models/identity/resealing';
import { sealedPlace } from '../../models/identity/sealedPlaces';
import { apiKeyOf, type SealedAccount } from '../../tests/support/sealedAccounts';
import type { ProcessGround } from '../chaos/ground';
import type { Traffic } from './traffic';

/** Every row as it is but for its envelope. */
export async function restOfRows({ db }: ProcessGround): Promise<Map<string, string>> {
  const found = await db.raw(
    `select id, md5(cast(to_jsonb(a) - 'credentials' as text)) as rest from provider_accounts a`,
  );
  const rows: { id: string; rest: string }[] = found.rows;
  return new Map(rows.map(({ id, rest }) => [id, rest]));
}

/** Looks at every row with the new key alone: whether it opens, and what it is. */
export async function readEnd(end: {
  ground: ProcessGround;
  newAlone: string;
  accounts: readonly SealedAccount[];
  traffic: Traffic;
  before: ReadonlyMap<string, string>;
}) {
  const { ground, newAlone } = end;
  const sealing = createSealing(parseSealingKeys(newAlone));
  const rest = await restOfRows(ground);
  const rows = new Map((await allRows(ground)).map((row) => [row.key[0], row]));
  const found = { resealed: 0, unreadable: 0, lostChanges: 0, otherwiseChanged: 0 };
  for (const account of end.accounts) {
    const changes = end.traffic.changesOf(account);
    const row = rows.get(account.id);
    const apiKey = row === undefined ? null : apiKeyIn(sealing, row);
    if (apiKey === null) {
      found.unreadable += 1;
    } else if (apiKey !== apiKeyOf(account, changes)) {
      found.lostChanges += 1;
    } else if (changes === 0) {
      found.resealed += 1;
    }
    if (changes === 0 && rest.get(account.id) !== end.before.get(account.id)) {
      found.otherwiseChanged += 1;
    }
  }
  return found;
}

async function allRows({ db }: ProcessGround): Promise<SealedRow[]> {
  return acrossTenants(db, 'resealing', (trx) =>
    listSealedOtherwise(trx, 'providerAccounts', { keyId: 'none', after: null, limit: 2_000_000 }),
  );
}

function apiKeyIn(sealing: ReturnType<typeof createSealing>, row: SealedRow): string | null {
  try {
    const opened: { apiKey: string } = JSON.parse(
      sealing.open(row.sealed, sealedPlace('providerAccounts', row)),
    );
    return opened.apiKey;
  } catch {
    return null;
  }
}
