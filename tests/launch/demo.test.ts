import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'csv-parse/sync';
import { canonicalZone } from '../../domain/campaigns/zones';
import { demoCampaigns } from '../../workers/launch/demo/campaigns';
import { demoCustomers } from '../../workers/launch/demo/generate';

const file = path.join(__dirname, '../../workers/launch/demo/customers.csv');
const rows: Record<string, string>[] = parse(readFileSync(file), { columns: true });

describe("the demo's customers", () => {
  test('are what the script beside the file writes', () => {
    expect(demoCustomers()).toBe(readFileSync(file, 'utf8'));
  });

  test('are 2,000 with an address each, at domains nobody can own', () => {
    expect(rows).toHaveLength(2000);
    expect(new Set(rows.map(({ email }) => email)).size).toBe(2000);
    expect(
      rows.filter(({ email }) => !/^[a-z.]+\.\d+@example\.(com|net|org)$/.test(email ?? '')),
    ).toEqual([]);
  });

  test('live in zones Carillon knows, at most offsets there are', () => {
    const zones = new Set(rows.map(({ time_zone: zone }) => zone ?? ''));
    zones.delete('');
    expect([...zones].filter((zone) => canonicalZone(zone) === null)).toEqual([]);
    const offsets = new Set([...zones].map(offsetOf));
    expect(offsets.size).toBeGreaterThanOrEqual(34);
    const unknown = rows.filter(({ time_zone: zone }) => zone === '').length;
    expect(unknown).toBeGreaterThan(5);
    expect(unknown).toBeLessThan(50);
  });
});

describe("the demo's campaigns", () => {
  test('go out now, and at a local hour that comes in four minutes where days begin', () => {
    const schedules = demoCampaigns(new Date('2026-02-27T23:30:00Z')).map(
      ({ schedule }) => schedule,
    );
    expect(schedules).toEqual([
      { kind: 'now' },
      expect.objectContaining({ kind: 'localHour', date: '2026-02-28', time: '13:34' }),
    ]);
  });

  test('ask for the same thing each time, so that a key makes them safe to repeat', () => {
    const now = new Date();
    expect(demoCampaigns(now)).toEqual(demoCampaigns(now));
  });
});

function offsetOf(zone: string): string {
  const parts = new Intl.DateTimeFormat('en', { timeZone: zone, timeZoneName: 'longOffset' });
  const name = parts.formatToParts(new Date('2026-01-15T00:00:00Z'));
  return name.find(({ type }) => type === 'timeZoneName')?.value ?? '';
}
