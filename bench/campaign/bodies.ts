import { closeSync, openSync, readFileSync, readSync } from 'node:fs';
import type { BodyPlace } from './prepareBodies';

/** The prepared bodies by their dispatches, all in memory. */
export function readBodies(bodiesFile: string, indexFile: string): Map<number, Buffer> {
  const places: BodyPlace[] = JSON.parse(readFileSync(indexFile, 'utf8'));
  const file = openSync(bodiesFile, 'r');
  const bodies = new Map<number, Buffer>();
  for (const { dispatchN, offset, length } of places) {
    const body = Buffer.allocUnsafe(length);
    readSync(file, body, 0, length, offset);
    bodies.set(dispatchN, body);
  }
  closeSync(file);
  return bodies;
}
