import { z } from 'zod';
import { rotateSigningKeys } from '../../models/identity/signingKeys';
import { audit } from '../../models/identity/audit';
import { auditOf } from '../audit';
import { json } from '../bodies';
import { adminRoute, publicRoute, rawAnswer, rawReply, reply } from '../route';

// A new key is published for longer than this before it signs.
const keptForSeconds = 120;

const getKeySet = publicRoute({
  method: 'get',
  path: '/.well-known/jwks.json',
  root: true,
  name: 'getKeySet',
  summary: 'The public keys that access tokens are signed with (RFC 7517)',
  tags: ['identity'],
  answers: { 200: rawAnswer('application/jwk-set+json') },
  async handler({ deps }) {
    return rawReply(200, JSON.stringify({ keys: deps.accessTokens.publicKeys() }), {
      'Cache-Control': `public, max-age=${keptForSeconds}`,
    });
  },
});

const RotateKeys = z.strictObject({
  atOnce: z.boolean().default(false).meta({
    description:
      'For a key in wrong hands: the new one signs from now on and no token of the others is taken within a minute, so that everybody has to refresh',
  }),
});

const RotatedKey = z
  .object({ kid: z.string().meta({ description: 'The new key’s' }) })
  .meta({ id: 'RotatedKey' });

const rotateKeys = adminRoute({
  method: 'post',
  path: '/admin/signing-keys/rotate',
  name: 'rotateSigningKeys',
  summary: 'Have a new key sign the access tokens',
  description:
    'It happens every 30 days by itself. The new key is published at once and signs a few minutes later; the one before it verifies until the last of its tokens is over, so that nobody is logged out.',
  tags: ['identity'],
  permission: 'platform:write',
  stepUp: true,
  body: json(RotateKeys),
  answers: { 202: RotatedKey },
  async handler(request) {
    const { deps, body } = request;
    const kid = await rotateSigningKeys(deps.db, deps.sealing, {
      atOnce: body.atOnce,
      alongside: (trx, made) =>
        audit(
          trx,
          auditOf(request, {
            action: 'signingKey.rotated',
            target: { kind: 'signingKey', id: made },
            after: { atOnce: body.atOnce },
            tenantId: null,
          }),
        ),
    });
    await deps.accessTokens.reload();
    return reply(202, { kid: kid ?? '' });
  },
});

export const signingKeyRoutes = [getKeySet, rotateKeys];
