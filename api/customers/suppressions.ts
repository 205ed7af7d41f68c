import { z } from 'zod';
import { AddSuppression, Suppression } from '../../domain/customers/schema';
import { notFound } from '../../domain/errors';
import { maskAddress } from '../../domain/tracking/maskAddress';
import {
  addSuppression,
  removeSuppression,
  suppressionsWhere,
  suppressionSorts,
} from '../../models/customers/suppressions';
import type { Suppression as SuppressionRow } from '../../models/customers/Suppression';
import { audit } from '../../models/identity/audit';
import { auditOf } from '../audit';
import { json } from '../bodies';
import { listPage } from '../lists';
import { reply, route } from '../route';
import { presentSuppression } from './present';
import { ListSuppressions } from './requests';

const tags = ['suppressions'];

const list = route({
  method: 'get',
  path: '/suppressions',
  name: 'listSuppressions',
  summary: 'List the addresses nothing is sent to',
  tags,
  permission: 'suppression:read',
  query: ListSuppressions,
  answers: { 200: z.array(Suppression) },
  async handler({ query, inTenant, tenantId }) {
    const { data, meta } = await inTenant((trx) =>
      listPage(suppressionsWhere(trx, tenantId, query), {
        list: query,
        sorts: suppressionSorts,
        present: presentSuppression,
      }),
    );
    return reply(200, data, { meta });
  },
});

const add = route({
  method: 'post',
  path: '/suppressions',
  name: 'addSuppression',
  summary: 'Stop sending to an address, from the next call to a provider on',
  description: 'Answers 200 with what is there when the address was suppressed before.',
  tags,
  permission: 'suppression:write',
  body: json(AddSuppression),
  idempotent: true,
  answers: { 200: Suppression, 201: Suppression },
  async handler(request) {
    const { body, inTenant, tenantId, idempotentId } = request;
    const { suppression, isNew } = await inTenant(async (trx) => {
      const added = await addSuppression(trx, { ...body, tenantId, id: idempotentId() });
      if (added.isNew) {
        const { id } = added.suppression;
        const after = auditedSuppression(added.suppression);
        const target = { kind: 'suppression', id };
        await audit(trx, auditOf(request, { id, action: 'suppression.added', target, after }));
      }
      return added;
    });
    return reply(isNew ? 201 : 200, presentSuppression(suppression));
  },
});

const remove = route({
  method: 'delete',
  path: '/suppressions/:id',
  name: 'removeSuppression',
  summary: 'Allow sending to an address again',
  tags,
  permission: 'suppression:write',
  params: { id: 'suppression' },
  answers: { 204: null },
  async handler(request) {
    const { params: given, inTenant, tenantId } = request;
    await inTenant(async (trx) => {
      const removed = await removeSuppression(trx, { tenantId, id: given.id });
      if (removed === null) {
        throw notFound('suppression');
      }
      const before = auditedSuppression(removed);
      const target = { kind: 'suppression', id: removed.id };
      await audit(trx, auditOf(request, { action: 'suppression.removed', target, before }));
    });
    return reply(204);
  },
});

export const suppressionRoutes = [list, add, remove];

// The log outlives the person: it keeps of an address what lets its owner know it again.
function auditedSuppression({ channel, address, reason }: SuppressionRow) {
  return { channel, address: maskAddress(address), reason };
}
