import { createCipheriv, createDecipheriv, randomBytes, type KeyObject } from 'node:crypto';
import { temporal } from '@temporalio/proto';
import type { Payload, PayloadCodec, SerializationContext } from '@temporalio/common';

const { Payload: PayloadMessage } = temporal.api.common.v1;

const encoding = 'binary/encrypted';
/** What the bytes are: 1 is nonce, ciphertext and tag of AES-256-GCM over the payload's message. */
const version = '1';
const algorithm = 'aes-256-gcm';
const nonceBytes = 12;
const tagBytes = 16;

/** A key that payloads are encrypted with; its id travels with them and never names another key. */
export interface DataKey {
  id: string;
  /** Whose payloads it is for; null for those of the platform. */
  tenantId: string | null;
  key: KeyObject;
}

export interface DataKeys {
  /** The key that a tenant's payloads, or with null the platform's, are encrypted with now. */
  current(tenantId: string | null): Promise<DataKey>;
  /** @throws PayloadError when there is no such key or it cannot be had */
  byId(keyId: string): Promise<DataKey>;
}

export type PayloadFailure = 'malformed' | 'unknownKey' | 'keyUnavailable' | 'notAuthentic';

/** A payload could not be encrypted or decrypted. The message never holds a part of it. */
export class PayloadError extends Error {
  constructor(
    readonly failure: PayloadFailure,
    message: string,
    options?: ErrorOptions,
  ) {
    super(message, options);
    this.name = 'PayloadError';
  }
}

/**
 * Encrypts payloads with the key of the tenant whose workflow they belong to, or with the platform's
 * where that is not told. Decrypts by the key's id alone, and lets through what was never encrypted:
 * workflows that began in clear go on.
 */
export function createPayloadCodec(
  keys: DataKeys,
  tenantOf: (workflowId: string) => string | null,
): PayloadCodec {
  return {
    async encode(payloads, context) {
      const key = await keys.current(tenantIn(context, tenantOf));
      return payloads.map((payload) => encryptPayload(payload, key));
    },

    decode(payloads) {
      return Promise.all(
        payloads.map(async (payload) => {
          const keyId = keyIdOfPayload(payload);
          return keyId === null ? payload : decryptPayload(payload, await keys.byId(keyId));
        }),
      );
    },
  };
}

/** The payload encrypted whole, its metadata with it. */
export function encryptPayload(payload: Payload, { id, key }: DataKey): Payload {
  const nonce = randomBytes(nonceBytes);
  const cipher = createCipheriv(algorithm, key, nonce, { authTagLength: tagBytes });
  cipher.setAAD(associatedData(id));
  const clear = PayloadMessage.encode(payload).finish();
  const parts = [nonce, cipher.update(clear), cipher.final(), cipher.getAuthTag()];
  return {
    metadata: {
      encoding: Buffer.from(encoding),
      'encryption-key-id': Buffer.from(id),
      'encryption-version': Buffer.from(version),
    },
    data: Buffer.concat(parts),
  };
}

/**
 * The payload that was encrypted with this key.
 *
 * @throws PayloadError
 */
export function decryptPayload(payload: Payload, { id, key }: DataKey): Payload {
  const bytes = Buffer.from(payload.data ?? []);
  if (bytes.length < nonceBytes + tagBytes) {
    throw new PayloadError('malformed', 'The encrypted payload is cut short.');
  }
  const decipher = createDecipheriv(algorithm, key, bytes.subarray(0, nonceBytes), {
    authTagLength: tagBytes,
  });
  decipher.setAAD(associatedData(id));
  decipher.setAuthTag(bytes.subarray(-tagBytes));
  const clear = decipher.update(bytes.subarray(nonceBytes, -tagBytes));
  try {
    return PayloadMessage.decode(Buffer.concat([clear, decipher.final()]));
  } catch (cause) {
    throw new PayloadError(
      'notAuthentic',
      `The payload does not open with the data key ${id}: it was changed, or the key is not the one it was.`,
      { cause },
    );
  }
}

/**
 * The id of the key a payload was encrypted with; null for one that was not encrypted.
 *
 * @throws PayloadError for one that says it is encrypted and cannot have been by us
 */
export function keyIdOfPayload({ metadata }: Payload): string | null {
  if (textOf(metadata?.['encoding']) !== encoding) {
    return null;
  }
  const keyId = textOf(metadata?.['encryption-key-id']);
  if (keyId === null || textOf(metadata?.['encryption-version']) !== version) {
    throw new PayloadError(
      'malformed',
      'The payload is encrypted in a way that is not known here.',
    );
  }
  return keyId;
}

// What an activity works on belongs to the tenant of the workflow that asked for it.
function tenantIn(
  context: SerializationContext | undefined,
  tenantOf: (workflowId: string) => string | null,
): string | null {
  return context?.workflowId === undefined ? null : tenantOf(context.workflowId);
}

// JSON, so that no two keys and versions read the same.
function associatedData(keyId: string): Buffer {
  return Buffer.from(JSON.stringify(['carillon', 'payload', version, keyId]));
}

function textOf(bytes: Uint8Array | null | undefined): string | null {
  return bytes == null ? null : Buffer.from(bytes).toString('utf8');
}
