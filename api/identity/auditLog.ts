import { Readable } from 'node:stream';
import { z } from 'zod';
import { auditActions, isAuditAction, type AuditAction } from '../../domain/identity/auditActions';
import { AuditEntry as EntryShape } from '../../domain/identity/auditSchema';
import { csvRow } from '../../lib/csvWriter';
import { audit } from '../../models/identity/audit';
import type { AuditEntry } from '../../models/identity/AuditEntry';
import { auditOfAll, auditOfTenant, auditSorts, readAudit } from '../../models/identity/auditLog';
import { auditOf } from '../audit';
import { instant, listPage, listQuery } from '../lists';
import { adminRoute, rawAnswer, rawReply, reply, route } from '../route';

const tags = ['audit'];

const action = z
  .string()
  .max(100)
  .meta({ enum: Object.keys(auditActions) })
  .transform((text, context): AuditAction => {
    if (isAuditAction(text)) {
      return text;
    }
    context.addIssue({ code: 'custom', message: 'Is no action.', params: { code: 'notAllowed' } });
    return z.NEVER;
  });

const filters = {
  action: action.optional(),
  actorId: z.string().min(1).max(100).optional(),
  targetKind: z.string().min(1).max(50).optional(),
  targetId: z.string().min(1).max(100).optional(),
  from: instant.optional(),
  to: instant.optional(),
};
const format = z.enum(['csv', 'ndjson']).default('csv');
const tenantId = z.uuid().optional();

const listing = { item: EntryShape, sorts: auditSorts, defaultSort: '-at' };
const exported = { 200: rawAnswer('text/csv', 'application/x-ndjson') } as const;
const actionsText = `Actions: ${Object.entries(auditActions)
  .map(([name, means]) => `\`${name}\`: ${means}`)
  .join(' ')}`;

const list = route({
  method: 'get',
  path: '/audit-log',
  name: 'listAuditLog',
  summary: 'Who did what in your tenant, from where, and what it changed',
  description: `Entries are never changed or removed, and hold nothing that opens anything. ${actionsText}`,
  tags,
  permission: 'audit:read',
  query: listQuery({ ...listing, filters }),
  answers: { 200: z.array(EntryShape) },
  async handler({ query, inTenant, tenantId: ofTenant }) {
    const { data, meta } = await inTenant((trx) =>
      listPage(auditOfTenant(trx, ofTenant, query), {
        list: query,
        sorts: auditSorts,
        present: presentEntry,
      }),
    );
    return reply(200, data, { meta });
  },
});

const exportAll = route({
  method: 'get',
  path: '/audit-log/export',
  name: 'exportAuditLog',
  summary: 'The audit log of your tenant as a file, from the oldest entry on',
  description:
    'CSV by default, or a JSON object a line. It ends with what was there when you asked.',
  tags,
  permission: 'audit:read',
  query: z.strictObject({ format, ...filters }),
  answers: exported,
  async handler(request) {
    const { query, inTenant, tenantId: ofTenant } = request;
    const until = query.to ?? new Date();
    await inTenant((trx) => audit(trx, exportEntry(request, { ...query })));
    const rows = readAudit(inTenant, (trx) =>
      auditOfTenant(trx, ofTenant, { ...query, to: until }),
    );
    return fileOf(rows, query.format);
  },
});

const listOfAll = adminRoute({
  method: 'get',
  path: '/admin/audit-log',
  name: 'listPlatformAuditLog',
  summary: 'Who did what in all tenants and on the platform',
  tags,
  permission: 'platform:read',
  query: listQuery({ ...listing, filters: { tenantId, ...filters } }),
  answers: { 200: z.array(EntryShape) },
  async handler({ query, acrossTenants }) {
    const { data, meta } = await acrossTenants((trx) =>
      listPage(auditOfAll(trx, query), { list: query, sorts: auditSorts, present: presentEntry }),
    );
    return reply(200, data, { meta });
  },
});

const exportOfAll = adminRoute({
  method: 'get',
  path: '/admin/audit-log/export',
  name: 'exportPlatformAuditLog',
  summary: 'The audit log of all tenants and of the platform as a file',
  tags,
  permission: 'platform:read',
  query: z.strictObject({ tenantId, format, ...filters }),
  answers: exported,
  async handler(request) {
    const { query, acrossTenants } = request;
    const until = query.to ?? new Date();
    const entry = { ...exportEntry(request, { ...query }), tenantId: null };
    await acrossTenants((trx) => audit(trx, entry));
    const rows = readAudit(acrossTenants, (trx) => auditOfAll(trx, { ...query, to: until }));
    return fileOf(rows, query.format);
  },
});

export const auditLogRoutes = [list, exportAll, listOfAll, exportOfAll];

function exportEntry(request: Parameters<typeof auditOf>[0], query: Record<string, unknown>) {
  return auditOf(request, { action: 'audit.exported', after: query });
}

function presentEntry(row: AuditEntry): z.output<typeof EntryShape> {
  return {
    id: row.id,
    tenantId: row.tenantId,
    at: row.at.toISOString(),
    action: row.action,
    actor: { kind: row.actorKind, id: row.actorId, impersonatorId: row.impersonatorId },
    target: row.targetKind === null ? null : { kind: row.targetKind, id: row.targetId },
    ip: row.ip,
    userAgent: row.userAgent,
    requestId: row.requestId,
    before: row.before === null ? null : { ...row.before },
    after: row.after === null ? null : { ...row.after },
  };
}

function fileOf(rows: AsyncIterable<AuditEntry>, as: 'csv' | 'ndjson') {
  const isCsv = as === 'csv';
  return rawReply(200, Readable.from(isCsv ? csvLines(rows) : jsonLines(rows)), {
    'Content-Type': isCsv ? 'text/csv; charset=utf-8' : 'application/x-ndjson; charset=utf-8',
    'Content-Disposition': `attachment; filename="audit-log.${as}"`,
  });
}

const columns = [
  ['id', (row) => row.id],
  ['tenantId', (row) => row.tenantId],
  ['at', (row) => row.at.toISOString()],
  ['action', (row) => row.action],
  ['actorKind', (row) => row.actorKind],
  ['actorId', (row) => row.actorId],
  ['impersonatorId', (row) => row.impersonatorId],
  ['targetKind', (row) => row.targetKind],
  ['targetId', (row) => row.targetId],
  ['ip', (row) => row.ip],
  ['userAgent', (row) => row.userAgent],
  ['requestId', (row) => row.requestId],
  ['before', (row) => (row.before === null ? null : JSON.stringify(row.before))],
  ['after', (row) => (row.after === null ? null : JSON.stringify(row.after))],
] as const satisfies [string, (row: AuditEntry) => string | null][];

async function* csvLines(rows: AsyncIterable<AuditEntry>): AsyncGenerator<string> {
  yield csvRow(columns.map(([name]) => name));
  for await (const row of rows) {
    yield csvRow(columns.map(([, cell]) => cell(row)));
  }
}

async function* jsonLines(rows: AsyncIterable<AuditEntry>): AsyncGenerator<string> {
  for await (const row of rows) {
    yield `${JSON.stringify(presentEntry(row))}\n`;
  }
}
