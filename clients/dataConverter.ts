import type { DataConverter } from '@temporalio/common';
import { createPayloadCodec, type DataKeys } from '../lib/payloadCodec';
import { tenantOfWorkflow } from '../workflows/tenantOf';

/**
 * How every client and worker of ours writes and reads payloads: encrypted with the tenant's key,
 * the messages and stack traces of failures with them. The workflows' bundle has the same failures.
 */
export function createDataConverter(keys: DataKeys): DataConverter {
  return {
    payloadCodecs: [createPayloadCodec(keys, tenantOfWorkflow)],
    failureConverterPath: require.resolve('../workflows/failureConverter'),
  };
}
