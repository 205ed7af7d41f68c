// The server refuses a longer one, and counts it as JSON in UTF-8.
const maxBytes = 190;
const encoder = new TextEncoder();

/** A text as a workflow's summary: cut at a whole character when the server would refuse it. */
export function summary(text: string): string {
  const size = (part: string) => encoder.encode(JSON.stringify(part)).length;
  if (size(text) <= maxBytes) {
    return text;
  }
  const kept: string[] = [];
  let bytes = size('…');
  for (const character of text) {
    bytes += size(character) - 2;
    if (bytes > maxBytes) {
      break;
    }
    kept.push(character);
  }
  return `${kept.join('')}…`;
}
