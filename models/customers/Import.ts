import type { importStates } from '../../domain/customers/types';
import { BaseModel } from '../base';

/** One file of customers and what became of its rows. */
export class Import extends BaseModel {
  static override readonly tableName = 'imports';
  static override readonly idColumn = ['tenant_id', 'id'];

  declare id: string;
  declare tenantId: string;
  declare fileName: string | null;
  declare state: (typeof importStates)[number];
  declare rowsRead: number;
  declare rowsCreated: number;
  declare rowsUpdated: number;
  declare rowsRejected: number;
  declare failureCode: string | null;
  declare failure: string | null;
  declare createdBy: string | null;
  declare createdAt: Date;
  declare updatedAt: Date;
  declare finishedAt: Date | null;
}

/** A row of the file that was not imported, and why. */
export class ImportRejection extends BaseModel {
  static override readonly tableName = 'import_rejections';
  static override readonly idColumn = ['tenant_id', 'import_id', 'row_number'];

  declare tenantId: string;
  declare importId: string;
  declare rowNumber: number;
  declare field: string | null;
  declare code: string;
  declare reason: string;
}
