import { createCipheriv, createDecipheriv, randomBytes } from 'node:crypto';

const version = '1';
const algorithm = 'aes-256-gcm';
const keyBytes = 32;
const nonceBytes = 12;
const tagBytes = 16;

/** A key of 32 bytes; its id travels in every envelope and is never given to another key. */
export interface SealingKey {
  id: string;
  key: Uint8Array;
}

/** Where a sealed value lives. It opens there and nowhere else. */
export interface SealedPlace {
  table: string;
  rowId: string;
  /** Null for what belongs to the platform. */
  tenantId: string | null;
}

/** Seals secrets for one row of one table, and opens them again. */
export interface Sealing {
  /** The id of the key that seals; an envelope of another one waits to be sealed again. */
  readonly keyId: string;
  /** The ids of all keys that open, the one that seals first. */
  readonly keyIds: readonly string[];
  /** The same keys with this one sealing; null when it is not among them. */
  sealingWith(keyId: string): Sealing | null;
  seal(text: string, place: SealedPlace): string;
  /** @throws SealingError, which never holds a part of the secret */
  open(sealed: string, place: SealedPlace): string;
}

export type SealingFailure = 'malformed' | 'unknownKey' | 'notAuthentic';

/** A sealed value did not open. `failure` says why as far as anyone can know. */
export class SealingError extends Error {
  constructor(
    readonly failure: SealingFailure,
    message: string,
  ) {
    super(message);
    this.name = 'SealingError';
  }
}

/**
 * AES-256-GCM in a text envelope `version.keyId.nonce.ciphertext.tag`, bound to its row. The first
 * key seals and all of them open: a key is replaced by putting the new one before it, and dropped
 * once no envelope names it any more.
 *
 * @throws RangeError for no keys, a key id that is given twice or unusable, or a key of another length
 */
export function createSealing(keys: readonly SealingKey[]): Sealing {
  const byId = new Map<string, Buffer>();
  for (const { id, key } of keys) {
    if (!isKeyId(id) || byId.has(id) || key.length !== keyBytes) {
      throw new RangeError(
        `a sealing key needs an id of its own (1 to 32 of a-z, A-Z, 0-9, _ and -) and ${keyBytes} bytes`,
      );
    }
    byId.set(id, Buffer.from(key));
  }
  const [first] = byId;
  if (first === undefined) {
    throw new RangeError('there must be a sealing key');
  }
  return sealingOf(byId, ...first);
}

function sealingOf(byId: ReadonlyMap<string, Buffer>, keyId: string, sealingKey: Buffer): Sealing {
  return {
    keyId,

    keyIds: [keyId, ...[...byId.keys()].filter((id) => id !== keyId)],

    sealingWith(otherId) {
      const other = byId.get(otherId);
      return other === undefined ? null : sealingOf(byId, otherId, other);
    },

    seal(text, place) {
      const nonce = randomBytes(nonceBytes);
      const cipher = createCipheriv(algorithm, sealingKey, nonce, { authTagLength: tagBytes });
      cipher.setAAD(associatedData(keyId, place));
      const ciphertext = Buffer.concat([cipher.update(text, 'utf8'), cipher.final()]);
      const parts = [nonce, ciphertext, cipher.getAuthTag()];
      return [version, keyId, ...parts.map((part) => part.toString('base64url'))].join('.');
    },

    open(sealed, place) {
      const envelope = parseEnvelope(sealed);
      const key = byId.get(envelope.keyId);
      if (key === undefined) {
        throw new SealingError(
          'unknownKey',
          `The value was sealed with the key "${envelope.keyId}", which is not among the keys given (${[...byId.keys()].join(', ')}): SEALING_KEYS needs it, behind the first.`,
        );
      }
      const decipher = createDecipheriv(algorithm, key, envelope.nonce, {
        authTagLength: tagBytes,
      });
      decipher.setAAD(associatedData(envelope.keyId, place));
      decipher.setAuthTag(envelope.tag);
      const text = decipher.update(envelope.ciphertext);
      try {
        return Buffer.concat([text, decipher.final()]).toString('utf8');
      } catch {
        throw new SealingError(
          'notAuthentic',
          `The sealed value of ${place.table} does not open in this row: it was changed, was sealed for another row, or "${envelope.keyId}" is not the key it was.`,
        );
      }
    },
  };
}

/**
 * Reads keys as they are configured, `id:base64,…`, the one that seals first.
 *
 * @throws RangeError that names the entry by its place and never shows it
 */
export function parseSealingKeys(text: string): SealingKey[] {
  const keys = text.split(',').map((entry, index) => {
    const [, id, base64] = /^\s*([\w-]{1,32}):([A-Za-z0-9+/]{43}=?)\s*$/.exec(entry) ?? [];
    if (id === undefined || base64 === undefined) {
      throw new RangeError(`entry ${index + 1} must be id:key, the key being 32 bytes in base64`);
    }
    return { id, key: Buffer.from(base64, 'base64') };
  });
  if (new Set(keys.map(({ id }) => id)).size < keys.length) {
    throw new RangeError('two keys have the same id');
  }
  return keys;
}

/** The id of the key an envelope was sealed with: which rows wait for a new key. */
export function keyIdOf(sealed: string): string {
  return parseEnvelope(sealed).keyId;
}

interface Envelope {
  keyId: string;
  nonce: Buffer;
  ciphertext: Buffer;
  tag: Buffer;
}

function parseEnvelope(sealed: string): Envelope {
  const [versionText, keyId = '', ...parts] = sealed.split('.');
  const [nonce, ciphertext, tag] = parts.map(decode);
  if (
    versionText !== version ||
    !isKeyId(keyId) ||
    parts.length !== 3 ||
    nonce?.length !== nonceBytes ||
    ciphertext == null ||
    tag?.length !== tagBytes
  ) {
    throw new SealingError('malformed', 'The value is no envelope of ours.');
  }
  return { keyId, nonce, ciphertext, tag };
}

// The decoder skips characters it does not know and ignores spare bits: one value, one envelope.
function decode(text: string): Buffer | null {
  const bytes = Buffer.from(text, 'base64url');
  return bytes.toString('base64url') === text ? bytes : null;
}

// JSON, so that no two places read the same whatever their parts are called.
function associatedData(keyId: string, { table, rowId, tenantId }: SealedPlace): Buffer {
  return Buffer.from(JSON.stringify(['carillon', version, keyId, table, rowId, tenantId]));
}

function isKeyId(text: string): boolean {
  return /^[\w-]{1,32}$/.test(text);
}
