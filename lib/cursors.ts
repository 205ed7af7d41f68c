/** Where a list goes on: after the row with this sort value and id, in this order. */
export interface Cursor {
  order: string;
  key: string;
  id: string;
}

/** The cursor as the opaque text a caller hands back. */
export function encodeCursor(cursor: Cursor): string {
  return Buffer.from(JSON.stringify([cursor.order, cursor.key, cursor.id])).toString('base64url');
}

/** The cursor a caller handed back, or null when the text is none of ours. */
export function decodeCursor(text: string): Cursor | null {
  try {
    const parts: unknown = JSON.parse(Buffer.from(text, 'base64url').toString('utf8'));
    if (!Array.isArray(parts) || parts.length !== 3) {
      return null;
    }
    const [order, key, id]: unknown[] = parts;
    return typeof order === 'string' && typeof key === 'string' && typeof id === 'string'
      ? { order, key, id }
      : null;
  } catch {
    // JSON.parse has only one kind of failure, and it means just this.
    return null;
  }
}
