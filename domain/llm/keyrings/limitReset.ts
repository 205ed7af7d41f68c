const dayMs = 24 * 60 * 60_000;

/** When a key's limit comes back, in ms: the next UTC day, Monday or month. */
export function nextLimitReset(reset: 'daily' | 'weekly' | 'monthly', nowMs: number): number {
  const now = new Date(nowMs);
  const today = Date.UTC(now.getUTCFullYear(), now.getUTCMonth(), now.getUTCDate());
  switch (reset) {
    case 'daily':
      return today + dayMs;
    case 'weekly':
      // Sunday is 0: one day to Monday.
      return today + ((8 - now.getUTCDay()) % 7 || 7) * dayMs;
    case 'monthly':
      return Date.UTC(now.getUTCFullYear(), now.getUTCMonth() + 1, 1);
  }
}
