import type { Payload } from '@temporalio/common';
import { z } from 'zod';
import { AppError } from '../../domain/errors';
import type { Logger } from '../../lib/logger';
import {
  PayloadError,
  decryptPayload,
  encryptPayload,
  keyIdOfPayload,
  type DataKey,
  type DataKeys,
} from '../../lib/payloadCodec';
import type { PayloadReader } from '../../models/identity/codecSessions';

// A tenant has a key a month; that many that are gone are none of ours.
const mostMissingKeys = 200;

const JsonPayload = z.looseObject({
  metadata: z.record(z.string().max(200), z.base64()).nullish(),
  data: z.base64().nullish(),
});

/** A payload as JSON writes it: bytes are base64. */
export type JsonPayload = z.output<typeof JsonPayload>;

/** What Temporal's UI and command line send: https://docs.temporal.io/codec-server. */
export const Payloads = z.object({ payloads: z.array(JsonPayload).max(10_000) });

/** Payloads that were asked for, those that are shown in clear. */
export interface Shown {
  payloads: JsonPayload[];
  /** How many became readable, by the tenant whose they are; null for the platform. */
  counts: ReadonlyMap<string | null, number>;
}

/**
 * Decrypts what the reader may read. The rest stays as it is, as does what does not open: the UI
 * shows the one beside the other, and an error would hide both.
 */
export async function showPayloads(
  payloads: readonly JsonPayload[],
  reader: PayloadReader,
  deps: { dataKeys: DataKeys; logger: Logger },
): Promise<Shown> {
  const counts = new Map<string | null, number>();
  const keyOf = keyFinder(deps.dataKeys);
  const shown: JsonPayload[] = [];
  // One after the other: a request holds one connection, however many keys it names.
  for (const json of payloads) {
    try {
      const payload = fromJson(json);
      const keyId = keyIdOfPayload(payload);
      const key = keyId === null ? null : await keyOf(keyId);
      if (key === null || !mayRead(reader, key.tenantId)) {
        shown.push(json);
        continue;
      }
      const clear = toJson(decryptPayload(payload, key));
      counts.set(key.tenantId, (counts.get(key.tenantId) ?? 0) + 1);
      shown.push(clear);
    } catch (error) {
      if (!(error instanceof PayloadError)) {
        throw error;
      }
      deps.logger.warn({ err: error }, 'a payload does not open');
      shown.push(json);
    }
  }
  return { payloads: shown, counts };
}

// Looks for each key once a request, and for no more once too many were not to be had: their ids may
// be made up. What is not found again is null; the first time says why.
function keyFinder(dataKeys: DataKeys): (keyId: string) => Promise<DataKey | null> {
  const found = new Map<string, DataKey | null>();
  let missing = 0;
  return async (keyId) => {
    const known = found.get(keyId);
    if (known !== undefined || missing >= mostMissingKeys) {
      return known ?? null;
    }
    try {
      const key = await dataKeys.byId(keyId);
      found.set(keyId, key);
      return key;
    } catch (error) {
      found.set(keyId, null);
      missing += 1;
      throw error;
    }
  };
}

/**
 * Encrypts what somebody enters in the UI, whose requests name no workflow: with the platform's key
 * for its admins, else with that of the tenant the person joined first.
 */
export async function hidePayloads(
  payloads: readonly JsonPayload[],
  reader: PayloadReader,
  dataKeys: DataKeys,
): Promise<JsonPayload[]> {
  const [tenant] = reader.tenants;
  if (!reader.isPlatformAdmin && tenant === undefined) {
    throw new AppError('forbidden', 'forbidden', 'This needs the permission workflow:decode.');
  }
  const owner = reader.isPlatformAdmin ? null : (tenant?.id ?? null);
  const key = await dataKeys.current(owner);
  return payloads.map((json) => toJson(encryptPayload(fromJson(json), key)));
}

/** Whether there is anything at all that they may read. */
export function readsAnything({ isPlatformAdmin, tenants }: PayloadReader): boolean {
  return isPlatformAdmin || tenants.length > 0;
}

function mayRead({ isPlatformAdmin, tenants }: PayloadReader, tenantId: string | null): boolean {
  return isPlatformAdmin || tenants.some(({ id }) => id === tenantId);
}

function fromJson({ metadata, data }: JsonPayload): Payload {
  const entries = Object.entries(metadata ?? {});
  return {
    metadata: Object.fromEntries(entries.map(([name, text]) => [name, bytesOf(text)])),
    data: bytesOf(data ?? ''),
  };
}

function toJson({ metadata, data }: Payload): JsonPayload {
  const entries = Object.entries(metadata ?? {});
  return {
    metadata: Object.fromEntries(entries.map(([name, bytes]) => [name, textOf(bytes)])),
    data: textOf(data ?? new Uint8Array()),
  };
}

function bytesOf(text: string): Uint8Array {
  return Buffer.from(text, 'base64');
}

function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('base64');
}
