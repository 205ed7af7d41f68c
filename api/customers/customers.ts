import { z } from 'zod';
import {
  ChangeCustomer,
  Customer,
  WriteCustomer,
  type WrittenCustomer,
} from '../../domain/customers/schema';
import { conflict, notFound } from '../../domain/errors';
import {
  changeCustomer,
  createCustomer,
  customerSorts,
  customersWhere,
  findCustomer,
  lockCustomer,
  removeCustomer,
  replaceCustomer,
  type CustomerChange,
  type CustomerValues,
} from '../../models/customers/customers';
import { audit } from '../../models/identity/audit';
import { auditOf } from '../audit';
import { json } from '../bodies';
import { requireUnchanged } from '../etags';
import { fieldsOf, listPage } from '../lists';
import { basePath, reply, route } from '../route';
import { presentCustomer } from './present';
import { ListCustomers } from './requests';

const tags = ['customers'];
const params = { id: 'customer' } as const;

const create = route({
  method: 'post',
  path: '/customers',
  name: 'createCustomer',
  summary: 'Add a customer',
  tags,
  permission: 'customer:write',
  body: json(WriteCustomer),
  idempotent: true,
  answers: { 201: Customer },
  problems: ['emailTaken', 'externalIdTaken', 'quotaReached'],
  async handler({ body, inTenant, tenantId, idempotentId }) {
    const key = { tenantId, id: idempotentId() };
    const customer = await inTenant((trx) => createCustomer(trx, key, wholeOf(body)));
    return reply(201, presentCustomer(customer), {
      headers: { Location: `${basePath}/customers/${customer.id}` },
    });
  },
});

const list = route({
  method: 'get',
  path: '/customers',
  name: 'listCustomers',
  summary: 'List customers by filters',
  tags,
  permission: 'customer:read',
  query: ListCustomers,
  answers: { 200: z.array(Customer) },
  async handler({ query, inTenant, tenantId }) {
    const { data, meta } = await inTenant((trx) =>
      listPage(customersWhere(trx, tenantId, query), {
        list: query,
        sorts: customerSorts,
        present: presentCustomer,
      }),
    );
    return reply(200, data, { meta });
  },
});

const get = route({
  method: 'get',
  path: '/customers/:id',
  name: 'getCustomer',
  summary: 'Read one customer',
  tags,
  permission: 'customer:read',
  params,
  query: z.strictObject({ fields: fieldsOf(Customer).optional() }),
  answers: { 200: Customer },
  async handler({ params: { id }, inTenant, tenantId }) {
    const customer = await inTenant((trx) => findCustomer(trx, { tenantId, id }));
    if (customer === null) {
      throw notFound('customer');
    }
    return reply(200, presentCustomer(customer));
  },
});

const replace = route({
  method: 'put',
  path: '/customers/:id',
  name: 'replaceCustomer',
  summary: 'Write a whole customer: what is left out is cleared',
  tags,
  permission: 'customer:write',
  params,
  body: json(WriteCustomer),
  answers: { 200: Customer },
  problems: ['emailTaken', 'externalIdTaken'],
  async handler({ params: { id }, body, ifMatch, inTenant, tenantId }) {
    const customer = await inTenant(async (trx) => {
      const stored = await lockCustomer(trx, { tenantId, id });
      if (stored === null) {
        throw notFound('customer');
      }
      requireUnchanged(ifMatch, presentCustomer(stored));
      return replaceCustomer(trx, stored, wholeOf(body));
    });
    return reply(200, presentCustomer(customer));
  },
});

const change = route({
  method: 'patch',
  path: '/customers/:id',
  name: 'changeCustomer',
  summary: 'Change a customer: what is left out stays, null clears',
  description:
    'Attributes are merged by name, and an attribute given as null is removed. Tags are replaced as a whole.',
  tags,
  permission: 'customer:write',
  params,
  body: json(ChangeCustomer),
  answers: { 200: Customer },
  problems: ['emailTaken', 'externalIdTaken', 'identityMissing'],
  async handler({ params: { id }, body, ifMatch, inTenant, tenantId }) {
    const customer = await inTenant(async (trx) => {
      const stored = await lockCustomer(trx, { tenantId, id });
      if (stored === null) {
        throw notFound('customer');
      }
      requireUnchanged(ifMatch, presentCustomer(stored));
      const changed = await changeCustomer(trx, stored, changeOf(body));
      if (changed.email === null && changed.phone === null && changed.externalId === null) {
        throw conflict('identityMissing', 'A customer keeps an email, a phone or an externalId.');
      }
      return changed;
    });
    return reply(200, presentCustomer(customer));
  },
});

const remove = route({
  method: 'delete',
  path: '/customers/:id',
  name: 'deleteCustomer',
  summary: 'Remove a customer; nothing more is sent to them',
  tags,
  permission: 'customer:write',
  params,
  answers: { 204: null },
  async handler(request) {
    const { params: given, inTenant, tenantId } = request;
    await inTenant(async (trx) => {
      if (!(await removeCustomer(trx, { tenantId, id: given.id }))) {
        throw notFound('customer');
      }
      const target = { kind: 'customer', id: given.id };
      await audit(trx, auditOf(request, { action: 'customer.deleted', target }));
    });
    return reply(204);
  },
});

export const customerRoutes = [create, list, get, replace, change, remove];

function wholeOf(body: WrittenCustomer): CustomerValues {
  return {
    externalId: body.externalId ?? null,
    email: body.email ?? null,
    phone: body.phone ?? null,
    firstName: body.firstName ?? null,
    lastName: body.lastName ?? null,
    language: body.language ?? null,
    timeZone: body.timeZone ?? null,
    tags: body.tags ?? [],
    attributes: body.attributes ?? {},
    ...consentsOf(body.consent ?? {}),
  };
}

function changeOf(body: WrittenCustomer): CustomerChange {
  const { tags: newTags, consent, ...plain } = body;
  return {
    ...plain,
    ...(newTags === undefined ? {} : { tags: newTags ?? [] }),
    ...(consent === undefined ? {} : consent === null ? consentsOf({}) : changedConsents(consent)),
  };
}

type WrittenConsents = NonNullable<WrittenCustomer['consent']>;

function consentsOf({ email, sms, whatsapp }: WrittenConsents): CustomerValues {
  return { ...emailConsent(email), ...smsConsent(sms), ...whatsappConsent(whatsapp) };
}

function changedConsents({ email, sms, whatsapp }: WrittenConsents): CustomerValues {
  return {
    ...(email === undefined ? {} : emailConsent(email)),
    ...(sms === undefined ? {} : smsConsent(sms)),
    ...(whatsapp === undefined ? {} : whatsappConsent(whatsapp)),
  };
}

type WrittenConsent = WrittenConsents['email'];

function emailConsent(given: WrittenConsent): CustomerValues {
  const { status, source, at } = consentOf(given);
  return { emailConsent: status, emailConsentSource: source, emailConsentAt: at };
}

function smsConsent(given: WrittenConsent): CustomerValues {
  const { status, source, at } = consentOf(given);
  return { smsConsent: status, smsConsentSource: source, smsConsentAt: at };
}

function whatsappConsent(given: WrittenConsent): CustomerValues {
  const { status, source, at } = consentOf(given);
  return { whatsappConsent: status, whatsappConsentSource: source, whatsappConsentAt: at };
}

function consentOf(given: WrittenConsent) {
  return given === undefined
    ? { status: 'unknown' as const, source: null, at: null }
    : { status: given.status, source: given.source ?? 'api', at: given.at ?? new Date() };
}
