import { z } from 'zod';
import { readHeader, readImportRow, type Column } from '../../domain/customers/importRow';
import { Import, ImportRejection } from '../../domain/customers/schema';
import type { Rejection } from '../../domain/customers/types';
import { AppError, invalidField, notFound } from '../../domain/errors';
import { readCsv } from '../../lib/csv';
import type { Knex } from '../../lib/db';
import { withTenant } from '../../models/base';
import { importRows } from '../../models/customers/importRows';
import type { ImportRow } from '../../models/customers/planUpserts';
import {
  findImport,
  finishImport,
  rejectionsOf,
  rejectionSorts,
  startImport,
} from '../../models/customers/imports';
import { audit } from '../../models/identity/audit';
import { auditOf } from '../audit';
import { listPage } from '../lists';
import { basePath, reply, route } from '../route';
import { upload, type UploadedFile } from '../uploads';
import { presentImport, presentRejection } from './present';
import { ListRejections } from './requests';

const tags = ['customers'];
const batchRows = 1_000;
const maxRows = 1_000_000;

const uploadCustomers = route({
  method: 'post',
  path: '/customers/upload',
  name: 'uploadCustomers',
  summary: 'Import customers from a CSV file',
  description: [
    'A form with one `file`: CSV in UTF-8 of at most 50 MiB and 1,000,000 rows, its first row naming the columns.',
    'Columns email, phone, firstName, lastName, language, timeZone, externalId, tags, emailConsent, smsConsent and whatsappConsent are known, in any case and with spaces or underscores; others become attributes.',
    'A row finds its customer by externalId, else by email, or by phone where it gives neither, and changes what it gives; empty cells change nothing, tags are added, and a withdrawn consent stays withdrawn.',
    'Rows that cannot be imported are counted, and the first 10,000 of them listed under the import (`rejectionsKept` says how many). A file that is broken as a whole is refused and changes nothing.',
  ].join(' '),
  tags,
  permission: 'customer:write',
  limit: 'upload',
  body: upload({
    field: 'file',
    limitBytes: 50 * 1024 * 1024,
    example: 'email,firstName\nkim@example.com,Kim\n',
    types: [
      'text/csv',
      'application/csv',
      'text/plain',
      'application/vnd.ms-excel',
      'application/octet-stream',
    ],
  }),
  idempotent: true,
  answers: { 202: Import },
  problems: ['bodyTooLarge', 'malformedForm', 'quotaReached'],
  async handler(request) {
    const { body, deps, inTenant, tenantId, userId, idempotentId } = request;
    const columns = await checkFile(body);
    const started = await inTenant(async (trx) => {
      const id = idempotentId();
      const { fileName, byteLength } = body;
      const begun = await startImport(trx, { tenantId, id, fileName, createdBy: userId });
      const target = { kind: 'import', id };
      const after = { fileName, byteLength };
      await audit(trx, auditOf(request, { id, action: 'import.started', target, after }));
      return begun;
    });
    const key = { tenantId, id: started.id };
    const finished =
      started.state === 'completed'
        ? started
        : await failingByPlan(deps.db, key, () => importFile(deps.db, key, body, columns));
    return reply(202, presentImport(finished), {
      headers: { Location: `${basePath}/imports/${started.id}` },
    });
  },
});

const getImport = route({
  method: 'get',
  path: '/imports/:id',
  name: 'getImport',
  summary: 'How far an import is, and what it did',
  tags,
  permission: 'customer:read',
  params: { id: 'import' },
  answers: { 200: Import },
  async handler({ params: { id }, inTenant, tenantId }) {
    const found = await inTenant((trx) => findImport(trx, { tenantId, id }));
    if (found === null) {
      throw notFound('import');
    }
    return reply(200, presentImport(found));
  },
});

const listRejections = route({
  method: 'get',
  path: '/imports/:id/rejections',
  name: 'listImportRejections',
  summary: 'The first 10,000 rows an import left out, each with its reason',
  tags,
  permission: 'customer:read',
  params: { id: 'import' },
  query: ListRejections,
  answers: { 200: z.array(ImportRejection) },
  async handler({ params: { id }, query, inTenant, tenantId }) {
    const { data, meta } = await inTenant(async (trx) => {
      if ((await findImport(trx, { tenantId, id })) === null) {
        throw notFound('import');
      }
      return listPage(rejectionsOf(trx, { tenantId, id }), {
        list: query,
        sorts: rejectionSorts,
        present: presentRejection,
        idColumn: 'row_number',
        idType: 'bigint',
      });
    });
    return reply(200, data, { meta });
  },
});

export const importRoutes = [uploadCustomers, getImport, listRejections];

/** Reads the whole file once before anything is written: what is broken as a file changes nothing. */
async function checkFile(file: UploadedFile): Promise<Column[]> {
  let columns: Column[] | undefined;
  let rows = 0;
  for await (const { cells } of readCsv(file.read())) {
    if (columns === undefined) {
      columns = columnsOf(cells);
    } else {
      rows += 1;
      if (rows > maxRows) {
        throw invalidField(
          'file',
          'tooManyRows',
          `Has more than ${maxRows.toLocaleString('en')} rows; split it.`,
        );
      }
    }
  }
  if (columns === undefined) {
    throw invalidField('file', 'fileEmpty', 'Is empty.');
  }
  if (rows === 0) {
    throw invalidField('file', 'noRows', 'Has a header row and nothing below it.');
  }
  return columns;
}

function columnsOf(cells: readonly string[]): Column[] {
  const header = readHeader(cells);
  if (header.kind === 'unusable') {
    throw invalidField('file', header.code, header.message);
  }
  return header.columns;
}

/** An import that the plan has no room for ends there; what came before stays imported. */
async function failingByPlan<T>(
  db: Knex,
  key: { tenantId: string; id: string },
  work: () => Promise<T>,
): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (error instanceof AppError && error.kind === 'planLimit') {
      const { code, message } = error;
      await withTenant(db, key.tenantId, (trx) => finishImport(trx, key, { code, message }));
    }
    throw error;
  }
}

async function importFile(
  db: Knex,
  { tenantId, id }: { tenantId: string; id: string },
  file: UploadedFile,
  columns: readonly Column[],
) {
  let rows: ImportRow[] = [];
  let rejections: Rejection[] = [];
  const flush = async () => {
    await importRows(db, { tenantId, importId: id, rows, rejections });
    rows = [];
    rejections = [];
  };
  let isHeader = true;
  for await (const record of readCsv(file.read())) {
    if (isHeader) {
      isHeader = false;
      continue;
    }
    const read = readImportRow(columns, record);
    if ('rejection' in read) {
      rejections.push(read.rejection);
    } else {
      rows.push({ row: record.row, customer: read.customer });
    }
    if (rows.length + rejections.length >= batchRows) {
      await flush();
    }
  }
  await flush();
  return withTenant(db, tenantId, (trx) => finishImport(trx, { tenantId, id }, null));
}
