import { z } from 'zod';
import { AppError } from '../../domain/errors';
import { Invitation as InvitationShape, Invite } from '../../domain/identity/people/schema';
import { maskAddress } from '../../domain/tracking/maskAddress';
import { newToken } from '../../lib/tokens';
import { acrossTenants, acrossTenantsWithin } from '../../models/base';
import { audit } from '../../models/identity/audit';
import type { Invitation } from '../../models/identity/Invitation';
import {
  invitationSorts,
  invite,
  openInvitations,
  renewInvitation,
  revokeInvitation,
} from '../../models/identity/invitations';
import { requireStillAllowed } from '../../models/identity/members';
import { requireTenant } from '../../models/identity/tenants';
import type { Tenant } from '../../models/identity/Tenant';
import { auditOf } from '../audit';
import { json } from '../bodies';
import { listPage } from '../lists';
import { basePath, reply, route, type TenantRequest } from '../route';
import { sendAccountMail } from './accountMails';
import { actorOf } from './actor';
import { requireOwnTenant } from './ownTenant';
import { presentInvitation } from './present';
import { ListInvitations } from './requests';

const tags = ['identity'];
const params = { id: 'tenant', invitationId: 'invitation' } as const;

const create = route({
  method: 'post',
  path: '/tenants/:id/users',
  name: 'inviteMember',
  summary: 'Invite somebody to the tenant by mail',
  description:
    'The link in the mail is good once, for seven days. It can be sent again; invitations are over with the role of whoever sent them.',
  tags,
  permission: 'member:write',
  params: { id: 'tenant' },
  body: json(Invite),
  idempotent: true,
  answers: { 201: InvitationShape },
  problems: [
    'alreadyInvited',
    'alreadyMember',
    'emailNotVerified',
    'invitationJustSent',
    'tooManyInvitations',
  ],
  async handler(request) {
    requireOwnTenant(request);
    requireVerified(request);
    const { body, deps, tenantId, userId, idempotentId } = request;
    const { token, hash } = newToken();
    const id = idempotentId();
    // Who has the address and who is a member is asked across tenants: people are of none.
    const sent = await acrossTenants(deps.db, 'identity', async (trx) => {
      await requireStillAllowed(trx, actorOf(request), 'member:write');
      const invitation = await invite(trx, { ...body, tenantId, id, invitedBy: userId, hash });
      await audit(trx, {
        ...auditOf(request, { action: 'invitation.sent', ...told(invitation) }),
        id,
      });
      return { invitation, tenant: await requireTenant(trx, tenantId) };
    });
    await send(request, sent, token);
    return reply(201, presentInvitation(sent.invitation), {
      headers: { Location: `${basePath}/tenants/${tenantId}/invitations` },
    });
  },
});

const list = route({
  method: 'get',
  path: '/tenants/:id/invitations',
  name: 'listInvitations',
  summary: 'List invitations that nobody has accepted yet',
  tags,
  permission: 'member:read',
  params: { id: 'tenant' },
  query: ListInvitations,
  answers: { 200: z.array(InvitationShape) },
  async handler(request) {
    requireOwnTenant(request);
    const { query, inTenant, tenantId } = request;
    const { data, meta } = await inTenant((trx) =>
      listPage(openInvitations(trx, tenantId), {
        list: query,
        sorts: invitationSorts,
        present: presentInvitation,
      }),
    );
    return reply(200, data, { meta });
  },
});

const resend = route({
  method: 'post',
  path: '/tenants/:id/invitations/:invitationId/resend',
  name: 'resendInvitation',
  summary: 'Send an invitation again, with another link and its full time',
  tags,
  permission: 'member:write',
  params,
  idempotent: true,
  answers: { 200: InvitationShape },
  problems: ['emailNotVerified', 'invitationJustSent'],
  async handler(request) {
    requireOwnTenant(request);
    requireVerified(request);
    const { inTenant, tenantId, params: path } = request;
    const { token, hash } = newToken();
    const sent = await inTenant(async (trx) => {
      await acrossTenantsWithin(trx, { tenantId, purpose: 'identity' }, (within) =>
        requireStillAllowed(within, actorOf(request), 'member:write'),
      );
      const invitation = await renewInvitation(trx, { tenantId, id: path.invitationId }, hash);
      await audit(trx, auditOf(request, { action: 'invitation.resent', ...told(invitation) }));
      return { invitation, tenant: await requireTenant(trx, tenantId) };
    });
    await send(request, sent, token);
    return reply(200, presentInvitation(sent.invitation));
  },
});

const revoke = route({
  method: 'delete',
  path: '/tenants/:id/invitations/:invitationId',
  name: 'revokeInvitation',
  summary: 'Take an invitation back: its link opens nothing any more',
  tags,
  permission: 'member:write',
  params,
  answers: { 204: null },
  async handler(request) {
    requireOwnTenant(request);
    const { inTenant, tenantId, params: path } = request;
    await inTenant(async (trx) => {
      const invitation = await revokeInvitation(trx, { tenantId, id: path.invitationId });
      await audit(trx, auditOf(request, { action: 'invitation.revoked', ...told(invitation) }));
    });
    return reply(204);
  },
});

export const invitationRoutes = [create, list, resend, revoke];

// The mail names the tenant as somebody called it, to an address that somebody chose.
function requireVerified({
  principal,
}: Pick<TenantRequest<object, unknown, unknown>, 'principal'>) {
  if (!principal.isEmailVerified) {
    throw new AppError(
      'forbidden',
      'emailNotVerified',
      'Verify your own address first, by the mail that was sent to it.',
    );
  }
}

// That it could not be sent is no error: the invitation is there, and can be sent again.
async function send(
  { deps, requestId, userId }: TenantRequest<object, unknown, unknown>,
  { invitation, tenant }: { invitation: Invitation; tenant: Tenant },
  token: string,
): Promise<void> {
  try {
    await sendAccountMail(deps, {
      userId,
      email: invitation.email,
      language: tenant.defaultLanguage,
      page: 'invitation',
      token,
      text: (texts) => texts.invitationMail(tenant.name),
    });
  } catch (error) {
    deps.logger.warn({ requestId, err: error }, 'invitation not sent');
  }
}

// The log outlives the person.
function told({ id, email, role }: Invitation) {
  return {
    target: { kind: 'invitation', id },
    after: { address: maskAddress(email), role },
  };
}
