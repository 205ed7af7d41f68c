import { createHash } from 'node:crypto';
import { v4, v7, validate } from 'uuid';

/** A new time-ordered id (uuid v7, RFC 9562): rows written together lie together. */
export function newId(): string {
  return v7();
}

/** A random id without a readable time, for what strangers may see. */
export function newRandomId(): string {
  return v4();
}

/** Whether the text is a uuid of any version. */
export function isId(text: string): boolean {
  return validate(text);
}

/** An id of one thing at a source within a minute: what repeats in that minute has the same one. */
export function idWithinMinute(at: Date, seed: string): string {
  const minute = Math.floor(at.getTime() / 60_000);
  return createHash('sha256').update(`${seed} ${minute}`).digest('base64url').slice(0, 22);
}

/** A time-ordered id that is always the same for the same instant and seed. */
export function derivedId(at: Date, seed: string): string {
  const random = createHash('sha256').update(seed).digest();
  return v7({ msecs: at.getTime(), random, seq: random.readUInt32BE(16) });
}
