import { newId } from '../../../lib/ids';
import { newToken } from '../../../lib/tokens';
import { acrossTenants } from '../../../models/base';
import { forgetSignIns } from '../../../models/identity/forgetting';
import { startTestApi, type TestApi } from '../../support/api';
import { buildTenant } from '../../support/factories';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(() => api.stop());

test('forgets what is long over of sign-ins, and nothing that counts', async () => {
  const { userId } = await buildTenant(api.deps);
  const ago = (days: number) => api.db.raw('now() - make_interval(days => ?)', [days]);
  const session = (endedDaysAgo: number, isRevoked: boolean) => ({
    id: newId(),
    user_id: userId,
    created_at: ago(endedDaysAgo + 7),
    expires_at: isRevoked ? ago(-7) : ago(endedDaysAgo),
    revoked_at: isRevoked ? ago(endedDaysAgo) : null,
    revoked_reason: isRevoked ? 'logout' : null,
  });
  const kept = [session(29, false), session(29, true), session(-7, false)];
  await api.db('sessions').insert([...kept, session(31, false), session(31, true)]);
  const token = (days: number) => ({
    hash: newToken().hash,
    user_id: userId,
    purpose: 'resetPassword',
    expires_at: ago(days),
  });
  await api.db('user_tokens').insert([token(0), token(2)]);
  const failures = (days: number, lockedDays: number | null) => ({
    subject: newToken().hash,
    failures: 10,
    last_at: ago(days),
    locked_until: lockedDays === null ? null : ago(lockedDays),
  });
  await api.db('sign_in_failures').insert([failures(1, null), failures(3, -1), failures(3, 2)]);

  const gone = await acrossTenants(api.deps.db, 'identity', forgetSignIns);
  expect(gone).toEqual({ rows: 4, isMoreLeft: false });
  const left = await api.db('sessions').whereIn(
    'id',
    kept.map(({ id }) => id),
  );
  expect(left).toHaveLength(3);
  expect(await api.db('user_tokens').where({ user_id: userId })).toHaveLength(1);
  expect(await api.db('sign_in_failures')).toHaveLength(2);
  expect((await acrossTenants(api.deps.db, 'identity', forgetSignIns)).rows).toBe(0);
});
