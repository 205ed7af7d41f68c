const KEPT_PATTERNS = 64;
const patterns = new Map<string, RegExp>();

/**
 * Replaces every key by its value, all in one pass: a value that happens to hold a key stays as it
 * is. Where two keys begin alike the longer one wins.
 */
export function substitute(text: string, substitutions: Record<string, string>): string {
  const keys = Object.keys(substitutions).filter((key) => key !== '');
  if (keys.length === 0) {
    return text;
  }
  return text.replace(patternFor(keys), (key) => substitutions[key] ?? key);
}

// The recipients of one request have the same keys, so the pattern is made once for all of them.
function patternFor(keys: string[]): RegExp {
  const id = JSON.stringify(keys);
  const known = patterns.get(id);
  if (known) {
    return known;
  }
  const alternatives = [...keys].sort((a, b) => b.length - a.length).map(escapePattern);
  const pattern = new RegExp(alternatives.join('|'), 'g');
  if (patterns.size >= KEPT_PATTERNS) {
    patterns.clear();
  }
  patterns.set(id, pattern);
  return pattern;
}

function escapePattern(text: string): string {
  return text.replace(/[.*+?^${}()|[\]\\/-]/g, '\\$&');
}
