import { z } from 'zod';
import { AddSuppression, Suppression } from '../../domain/customers/schema';
import { notFound } from '../../domain/errors';
import {
  addSuppression,
  removeSuppression,
  suppressionsWhere,
  suppressionSorts,
} from '../../models/customers/suppressions';
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
  async handler({ body, inTenant, tenantId, idempotentId }) {
    const { suppression, isNew } = await inTenant((trx) =>
      addSuppression(trx, { ...body, tenantId, id: idempotentId() }),
    );
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
  async handler({ params: { id }, inTenant, tenantId }) {
    if (!(await inTenant((trx) => removeSuppression(trx, { tenantId, id })))) {
      throw notFound('suppression');
    }
    return reply(204);
  },
});

export const suppressionRoutes = [list, add, remove];
