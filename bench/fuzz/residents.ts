import type { AccessClaims, AccessTokens } from '../../lib/accessTokens';
import type { Knex } from '../../lib/db';
import { hashPassword } from '../../lib/passwords';
import { acrossTenants } from '../../models/base';
import { findStanding, type Standing } from '../../models/identity/sessions';
import { buildTenant, type TestTenant } from '../../tests/support/factories';
import { signInAs } from '../../tests/support/tokens';
import type { Facts } from './furnish';
import { makeFor } from './madeFor';

interface Deps {
  readonly apiUrl: string;
  readonly db: Knex;
  readonly accessTokens: AccessTokens;
}

/** Who asks during a run: an owner of a tenant, and an admin of the platform. */
export interface Residents {
  /** A token with which the permission is had right now. */
  tokenFor(permission: string | null): Promise<string>;
  /** The path parameters of a thing there is, for an operation's path. */
  facts(path: string): Promise<Record<string, string>>;
  /** How many came in the place of one who was made unable to ask. */
  readonly replaced: number;
}

/** What each of them may show again that it is them by. */
export const residentsPassword = 'a password of the fuzzing alone';

/**
 * Fuzzing all operations signs people out, suspends them and ends their tenants. So whoever asks is
 * looked at before each case, and somebody new comes in the place of one who may not ask any more.
 * `furnish` writes into a new tenant what there is to ask for.
 */
export function createResidents(
  deps: Deps,
  furnish: (tenant: TestTenant) => Promise<Facts>,
): Residents {
  let home: (Home & { facts: Facts }) | undefined;
  // Made once, because it is made to be slow.
  let passwordHash: Promise<string> | undefined;
  const arrive = async ({ tenantId, userId: founderId }: Home, isPlatformAdmin: boolean) => {
    const { userId, sessionId } = await signInAs(deps, { tenantId, role: 'owner' });
    passwordHash ??= hashPassword(residentsPassword);
    const values = { password_hash: await passwordHash };
    await acrossTenants(deps.db, 'identity', async (trx) => {
      await trx('users').whereIn('id', [userId, founderId]).update(values);
      await trx('users').where({ id: userId }).update({ is_platform_admin: isPlatformAdmin });
    });
    return { userId, sessionId, tenantId };
  };
  const owner = new Seat(deps.db, {
    mayStay: ({ role }) => role === 'owner',
    async succeed(isTenantOpen) {
      if (home === undefined || !isTenantOpen) {
        const tenant = await buildTenant(deps);
        home = { ...tenant, facts: await furnish(tenant) };
      }
      return arrive(home, false);
    },
  });
  const admin = new Seat(deps.db, {
    mayStay: ({ isPlatformAdmin }) => isPlatformAdmin,
    async succeed() {
      return arrive(await buildTenant(deps), true);
    },
  });
  return {
    get replaced() {
      return owner.replaced + admin.replaced;
    },
    async facts(path) {
      const claims = await owner.claims();
      if (home === undefined) {
        return {};
      }
      const found = Object.entries(home.facts).filter(([beginning]) => path.startsWith(beginning));
      const token = deps.accessTokens.issue(claims);
      const { tenantId } = claims;
      // Another case may just have put out whoever makes it; this one then goes without.
      const fresh =
        tenantId === null
          ? {}
          : await makeFor(path, { ...deps, token, tenantId }).catch(() => ({}));
      return Object.assign({}, ...found.map(([, values]) => values), fresh);
    },
    async tokenFor(permission) {
      const seat = permission?.startsWith('platform:') === true ? admin : owner;
      return deps.accessTokens.issue(await seat.claims());
    },
  };
}

type Home = Pick<TestTenant, 'tenantId' | 'userId'>;

interface Rule {
  mayStay(standing: Standing): boolean;
  succeed(isTenantOpen: boolean): Promise<AccessClaims>;
}

// A step-up is good for ten minutes, and who asks has always just shown who they are.
const stayMs = 5 * 60_000;

class Seat {
  replaced = 0;
  private sitting: Promise<{ claims: AccessClaims; since: number }> | undefined;

  constructor(
    private readonly db: Knex,
    private readonly rule: Rule,
  ) {}

  async claims(): Promise<AccessClaims> {
    const asked = this.sitting;
    if (asked === undefined) {
      return this.seat(true);
    }
    const { claims, since } = await asked;
    const standing = await findStanding(this.db, claims);
    const isOpen = standing?.isTenantSuspended !== true;
    const mayStay =
      standing !== null && !standing.isUserSuspended && isOpen && this.rule.mayStay(standing);
    if (mayStay && Date.now() - since < stayMs) {
      return claims;
    }
    // Somebody who asked at the same time may have seen to it already.
    if (this.sitting === asked) {
      this.replaced += mayStay ? 0 : 1;
      return this.seat(isOpen && !(standing !== null && standing.role === null));
    }
    return this.claims();
  }

  private async seat(isTenantOpen: boolean): Promise<AccessClaims> {
    this.sitting = this.rule
      .succeed(isTenantOpen)
      .then((claims) => ({ claims, since: Date.now() }));
    return (await this.sitting).claims;
  }
}
