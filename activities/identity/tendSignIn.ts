import { acrossTenants } from '../../models/base';
import { audit } from '../../models/identity/audit';
import { forgetSignIns } from '../../models/identity/forgetting';
import { rotateAfterDays, rotateSigningKeys } from '../../models/identity/signingKeys';
import type { ActivityDeps } from '../deps';

/** The standing work of signing in. */
export function createTendSignIn({ db, sealing }: ActivityDeps) {
  return {
    /**
     * Makes a new key for access tokens when the newest one is old enough; null when it is not. Safe to
     * repeat: the key of a first attempt is too young for the second.
     */
    rotateOldSigningKey(): Promise<string | null> {
      return rotateSigningKeys(db, sealing, {
        ifOlderThanDays: rotateAfterDays,
        alongside: (trx, kid) =>
          audit(trx, {
            tenantId: null,
            actor: { kind: 'system', id: null },
            action: 'signingKey.rotated',
            target: { kind: 'signingKey', id: kid },
            after: { atOnce: false },
          }),
      });
    },

    /** Safe to repeat: what is gone is not found again. */
    forgetSignIns(): Promise<{ rows: number; isMoreLeft: boolean }> {
      return acrossTenants(db, 'identity', forgetSignIns);
    },
  };
}
