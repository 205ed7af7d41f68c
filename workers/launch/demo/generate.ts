/**
 * Writes customers.csv, the demo's 2,000 people: `npx tsx workers/launch/demo/generate.ts`. The same
 * file every time, so that a change of it is a change somebody made here. Nobody in it is real; all
 * addresses are at domains that RFC 2606 reserves.
 */
import { writeFileSync } from 'node:fs';
import path from 'node:path';
import { regions, type Region } from './regions';

const customerCount = 2000;
const header =
  'external_id,email,first_name,last_name,language,time_zone,tags,email_consent,city,loyalty_points,last_visit';
const domains = ['example.com', 'example.net', 'example.org'];
const tags = ['newsletter', 'loyal', 'first-order', 'gift-buyer', 'wholesale'];

/** The whole file: a header and one row a customer. */
export function demoCustomers(): string {
  const chance = seededChance(20_260_101);
  const rows = Array.from({ length: customerCount }, (_, index) => customerRow(index + 1, chance));
  return `${[header, ...rows].join('\n')}\n`;
}

function customerRow(n: number, chance: () => number): string {
  const region = regionAt(chance() * 100);
  const [zone, city] = pick(region.places, chance());
  const [firstName = '', firstLatin = firstName] = pick(region.firstNames, chance()).split('|');
  const [lastName = '', lastLatin = lastName] = pick(region.lastNames, chance()).split('|');
  const address = `${slug(firstLatin)}.${slug(lastLatin)}.${n}@${pick(domains, chance())}`;
  const chosenTags = tags.filter(() => chance() < 0.3);
  const points = Math.floor(chance() ** 2 * 5000);
  const daysAgo = Math.floor(chance() * 300);
  const fields = [
    `C-${String(n).padStart(5, '0')}`,
    address,
    firstName,
    lastName,
    region.language,
    // One in a hundred never told us: the campaign's policy decides.
    chance() < 0.01 ? '' : zone,
    chosenTags.join(';'),
    'granted',
    city,
    String(points),
    new Date(Date.UTC(2026, 0, 1) - daysAgo * 86_400_000).toISOString().slice(0, 10),
  ];
  return fields.map(quoted).join(',');
}

function regionAt(percent: number): Region {
  let sum = 0;
  const found = regions.find((region) => {
    sum += region.share;
    return percent < sum;
  });
  return found ?? pick(regions, 0);
}

function pick<T>(list: readonly T[], chance: number): T {
  const chosen = list[Math.floor(chance * list.length)];
  if (chosen === undefined) {
    throw new Error('There is nothing to pick from');
  }
  return chosen;
}

// "Łucja" → "lucja": letters that Unicode does not take apart are spelt by hand.
function slug(name: string): string {
  const spelt = name.replace(/[łŁøØßıİ]/g, (letter) => spellings[letter] ?? letter);
  return spelt
    .normalize('NFKD')
    .toLowerCase()
    .replace(/[^a-z]/g, '');
}

const spellings: Record<string, string> = {
  ł: 'l',
  Ł: 'l',
  ø: 'o',
  Ø: 'o',
  ß: 'ss',
  ı: 'i',
  İ: 'i',
};

function quoted(field: string): string {
  return /[",\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}

// mulberry32: enough chance for a demo, the same on every machine.
function seededChance(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}

if (require.main === module) {
  writeFileSync(path.join(__dirname, 'customers.csv'), demoCustomers());
}
