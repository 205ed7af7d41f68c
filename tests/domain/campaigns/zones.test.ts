import { canonicalZone } from '../../../domain/campaigns/zones';

describe('canonicalZone', () => {
  it('accepts every zone Intl lists, and its own answers again', () => {
    for (const zone of Intl.supportedValuesOf('timeZone')) {
      const canonical = canonicalZone(zone);
      expect(canonical).not.toBeNull();
      expect(canonicalZone(canonical ?? '')).toBe(canonical);
    }
  });

  it.each([
    ['Asia/Kolkata', 'Asia/Calcutta'],
    ['Europe/Kyiv', 'Europe/Kiev'],
    ['America/Argentina/Buenos_Aires', 'America/Buenos_Aires'],
    ['US/Pacific', 'America/Los_Angeles'],
    ['Etc/UTC', 'UTC'],
    ['Zulu', 'UTC'],
    ['Japan', 'Asia/Tokyo'],
    ['Turkey', 'Europe/Istanbul'],
    ['NZ', 'Pacific/Auckland'],
    ['GB', 'Europe/London'],
    ['W-SU', 'Europe/Moscow'],
    ['NZ-CHAT', 'Pacific/Chatham'],
    ['europe/PARIS', 'Europe/Paris'],
    ['utc', 'UTC'],
  ])('gives %s and %s one name', (alias, other) => {
    expect(canonicalZone(alias)).not.toBeNull();
    expect(canonicalZone(alias)).toBe(canonicalZone(other));
  });

  it.each([
    '+02:00',
    '-0530',
    '+02',
    'UTC+2',
    'GMT+1',
    'GMT+0',
    'GMT0',
    'GMT',
    'EST',
    'est',
    'MST',
    'HST',
    'CET',
    'EET',
    'WET',
    'MET',
    'IST',
    'JST',
    'CST',
    'EST5EDT',
    'PST8PDT',
    'SystemV/EST5EDT',
    '',
    ' ',
    ' Europe/Paris',
    'Europe/Paris ',
    'Europe/Atlantis',
    'Paris',
    'local',
    'null',
    '2026',
    `Europe/${'x'.repeat(10_000)}`,
  ])('refuses %j', (name) => {
    expect(canonicalZone(name)).toBeNull();
  });

  it('answers the same the second time, and after more names than it remembers', () => {
    expect(canonicalZone('Asia/Kathmandu')).toBe(canonicalZone('Asia/Kathmandu'));
    for (let i = 0; i < 5000; i += 1) {
      expect(canonicalZone(`Nowhere-${i}`)).toBeNull();
    }
    expect(canonicalZone('Asia/Kathmandu')).not.toBeNull();
    expect(canonicalZone('EST')).toBeNull();
  });
});
