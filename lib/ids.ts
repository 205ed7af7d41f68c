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
