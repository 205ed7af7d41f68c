import { createCipheriv, createHmac, timingSafeEqual, type Cipher } from 'node:crypto';
import { parse, stringify } from 'uuid';

const VERSION = 1;
const RUN_BYTES = 16;
const MAC_BYTES = 12;
// version, key id, run, message number
const SIGNED_BYTES = 2 + RUN_BYTES + 4;
const TOKEN_BYTES = SIGNED_BYTES + MAC_BYTES;
// All before the number is the same for a run and fills whole characters: 18 bytes, 24 of them.
const TAIL_BYTES = 4 + MAC_BYTES;
const TAIL_LENGTH = Math.ceil((TAIL_BYTES * 4) / 3);
// With two bytes more a tail fills whole characters, so that many are written as one text.
const SPACED_TAIL_BYTES = TAIL_BYTES + 2;
const SPACED_TAIL_LENGTH = (SPACED_TAIL_BYTES * 4) / 3;
// 34 bytes fill 45 characters and two bits of a 46th.
const TOKEN_LENGTH = Math.ceil((TOKEN_BYTES * 4) / 3);
const MAX_MESSAGE_N = 0xffff_ffff;
const BLOCK_BYTES = 16;
// So many messages of a run are signed at once, because a lane asks for one after the other.
const SIGNED_TOGETHER = 256;

/** One message of one run, which is all a tracking address tells. */
export interface TrackedMessage {
  runId: string;
  messageN: number;
}

/** A secret that signs tokens; the id (0 to 255) travels in them and is never given twice. */
export interface TokenSecret {
  id: number;
  secret: string | Uint8Array;
}

/** Makes and checks the tokens in the addresses of links, pixels and unsubscribe pages. */
export interface TrackingTokens {
  /** 46 characters that need no escaping anywhere in an address. */
  token(message: TrackedMessage): string;
  /** What the token says, or null when no secret of ours made it or a character was changed. */
  verify(token: string): TrackedMessage | null;
}

/**
 * Tokens are signed and not hidden: they hold no customer's id, only the run's and a number within
 * it. The first secret signs and all of them verify, so a secret is replaced by putting the new one
 * before it. Addresses in mail live for years: a secret is dropped only when they may break.
 *
 * @throws RangeError for no secrets, ids out of range or given twice, or a secret under 16 bytes
 */
export function createTrackingTokens(secrets: readonly TokenSecret[]): TrackingTokens {
  const keys = new Map<number, Buffer>();
  for (const { id, secret } of secrets) {
    const key = Buffer.from(typeof secret === 'string' ? Buffer.from(secret, 'utf8') : secret);
    if (!Number.isInteger(id) || id < 0 || id > 255 || keys.has(id) || key.length < 16) {
      throw new RangeError('a token secret needs an id of its own from 0 to 255 and 16 bytes');
    }
    keys.set(id, key);
  }
  const [signer] = keys;
  if (!signer) {
    throw new RangeError('tracking tokens need a secret');
  }
  const [signerId, signerKey] = signer;
  // A lane signs thousands of messages of one run in a row.
  let last: { runId: string; head: string; cipher: Cipher } | null = null;
  let tails = '';
  let tailsFrom = -1;

  return {
    token({ runId, messageN }) {
      if (!Number.isInteger(messageN) || messageN < 0 || messageN > MAX_MESSAGE_N) {
        throw new RangeError(`not a message number: ${messageN}`);
      }
      if (last?.runId !== runId) {
        const run = Buffer.from(parse(runId));
        const head = Buffer.from([VERSION, signerId, ...run]).toString('base64url');
        last = { runId, head, cipher: runCipher(signerId, signerKey, run) };
        tailsFrom = -1;
      }
      const from = messageN - (messageN % SIGNED_TOGETHER);
      if (from !== tailsFrom) {
        tails = tailsOf(from, last.cipher.update(blocksOf(from, SIGNED_TOGETHER)));
        tailsFrom = from;
      }
      const place = (messageN - from) * SPACED_TAIL_LENGTH;
      return last.head + tails.slice(place, place + TAIL_LENGTH);
    },

    verify(token) {
      if (token.length !== TOKEN_LENGTH) {
        return null;
      }
      const bytes = Buffer.from(token, 'base64url');
      // The decoder skips characters it does not know and ignores spare bits: one message, one token.
      if (bytes.length !== TOKEN_BYTES || bytes.toString('base64url') !== token) {
        return null;
      }
      const keyId = bytes[1] ?? -1;
      const key = bytes[0] === VERSION ? keys.get(keyId) : undefined;
      if (!key) {
        return null;
      }
      const messageN = bytes.readUInt32BE(2 + RUN_BYTES);
      const cipher = runCipher(keyId, key, bytes.subarray(2, 2 + RUN_BYTES));
      const mac = cipher.update(blocksOf(messageN, 1)).subarray(0, MAC_BYTES);
      if (!timingSafeEqual(mac, bytes.subarray(SIGNED_BYTES))) {
        return null;
      }
      return { runId: stringify(bytes, 2), messageN };
    },
  };
}

/**
 * What signs one run's messages: AES under a key that only this run has. A message's number is one
 * block and no number comes twice, so the block's image is a MAC, for a tenth of what an HMAC each
 * costs a campaign.
 */
function runCipher(keyId: number, key: Buffer, run: Uint8Array): Cipher {
  const runKey = createHmac('sha256', key)
    .update(Buffer.from([VERSION, keyId]))
    .update(run)
    .digest();
  return createCipheriv('aes-256-ecb', runKey, null).setAutoPadding(false);
}

/** The last characters of consecutive messages' tokens, each one's number and MAC, and two to spare. */
function tailsOf(firstMessageN: number, images: Buffer): string {
  const tails = Buffer.alloc(SIGNED_TOGETHER * SPACED_TAIL_BYTES);
  for (let index = 0; index < SIGNED_TOGETHER; index += 1) {
    const tail = index * SPACED_TAIL_BYTES;
    const image = index * BLOCK_BYTES;
    tails.writeUInt32BE(firstMessageN + index, tail);
    images.copy(tails, tail + 4, image, image + MAC_BYTES);
  }
  return tails.toString('base64url');
}

function blocksOf(firstMessageN: number, count: number): Buffer {
  const blocks = Buffer.alloc(count * BLOCK_BYTES);
  for (let index = 0; index < count; index += 1) {
    blocks.writeUInt32BE(firstMessageN + index, (index + 1) * BLOCK_BYTES - 4);
  }
  return blocks;
}
