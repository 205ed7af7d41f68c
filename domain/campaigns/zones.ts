// Zone names arrive in uploads by the million but repeat; the bound keeps a file full of
// nonsense names from growing the process.
const MAX_CACHED_NAMES = 4096;
const MAX_NAME_LENGTH = 64;

const canonicalNames = new Map<string, string | null>();

/**
 * The name this runtime's Intl gives the time zone, or null when the text names no place's zone:
 * offsets ("+02:00", "UTC+2"), abbreviations ("EST", "PST8PDT", "GMT") and unknown names.
 * Upper and lower case are one, and the result is accepted again as itself.
 */
export function canonicalZone(name: string): string | null {
  const known = canonicalNames.get(name);
  if (known !== undefined) {
    return known;
  }
  const canonical = isZoneName(name) ? nameByIntl(name) : null;
  if (name.length <= MAX_NAME_LENGTH) {
    if (canonicalNames.size >= MAX_CACHED_NAMES) {
      canonicalNames.clear();
    }
    canonicalNames.set(name, canonical);
  }
  return canonical;
}

/**
 * Whether the text is written like a zone's name. Intl also takes offsets and abbreviations, which
 * follow no place's clock changes or mean several places at once ("IST", "CST"). With an area
 * ("Asia/Tokyo", "Etc/GMT+5") a name is unambiguous, but for ICU's SystemV/ relics. Without one,
 * abbreviations are told from old names of places ("Japan", "NZ", "W-SU") by their form: they
 * carry an hour ("PST8PDT", "GMT0", "UTC+2"), or are three letters of which the last is the T of
 * "time" ("EST", "CET", "JST"). UTC itself is spelt otherwise and stays.
 */
function isZoneName(text: string): boolean {
  if (text.length > MAX_NAME_LENGTH || !/^[a-z]/i.test(text)) {
    return false;
  }
  if (text.includes('/')) {
    return !/^systemv\//i.test(text);
  }
  return !/\d/.test(text) && !/^[a-z]{2}t$/i.test(text);
}

function nameByIntl(name: string): string | null {
  try {
    return new Intl.DateTimeFormat('en-US', { timeZone: name }).resolvedOptions().timeZone;
  } catch {
    // RangeError is Intl's only answer to a name it does not know.
    return null;
  }
}
