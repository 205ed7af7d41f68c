/** "14:02:10 UTC", with the day where it is another one: "2026-11-22 00:00:00 UTC". */
export function instantWords(instant: string, nowMs: number): string {
  const time = `${instant.slice(11, 19)} UTC`;
  const day = instant.slice(0, 10);
  return day === new Date(nowMs).toISOString().slice(0, 10) ? time : `${day} ${time}`;
}

const spans = [
  ['d', 24 * 60 * 60_000],
  ['h', 60 * 60_000],
  ['min', 60_000],
  ['s', 1_000],
] as const;

/** "30 s", "5 min", "2 d": the largest whole unit. */
export function spanWords(ms: number): string {
  const [unit, size] = spans.find(([, each]) => ms >= each) ?? ['ms', 1];
  return `${Math.round(ms / size)} ${unit}`;
}

/** Micros of a US dollar as people write them: "$12.34". */
export function moneyWords(micros: number): string {
  const cents = Math.floor(Math.abs(micros) / 10_000);
  return `${micros < 0 ? '-' : ''}$${Math.floor(cents / 100)}.${String(cents % 100).padStart(2, '0')}`;
}

/** A name that people gave, safe in a cell of a markdown table. */
export function cell(text: string): string {
  return text.replaceAll('|', '\\|').replace(/\s+/g, ' ');
}
