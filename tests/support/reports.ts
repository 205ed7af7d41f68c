import type { TestApi } from './api';
import { campaignsPath } from './campaigns';
import { buildLedger, type TestLedger } from './ledger';
import { tokenFor } from './tokens';

/** A ledger and a caller of its tenant. */
export interface ReportedLedger extends TestLedger {
  token: string;
  /** `get('/progress')` of the ledger's campaign. */
  get(path: string): ReturnType<TestApi['send']>;
}

export async function buildReportedLedger(
  api: TestApi,
  options: Parameters<typeof buildLedger>[1] = {},
): Promise<ReportedLedger> {
  const ledger = await buildLedger(api.db, options);
  const token = await tokenFor(api.deps, ledger.tenantId);
  return {
    ...ledger,
    token,
    get: (path) => api.send('get', `${campaignsPath}/${ledger.campaignId}${path}`, { token }),
  };
}
