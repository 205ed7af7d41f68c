import { planWaves, type WaveSpec, type ZoneGroup } from '../../../domain/campaigns/waves';

const now = new Date('2026-03-10T12:00:00Z');

function plan(spec: WaveSpec, groups: ZoneGroup[], at = now, tenantZone = 'Europe/Berlin') {
  return planWaves({ spec, groups, tenantZone, now: at });
}

function nineOClock(
  date: string,
  policies: Partial<
    Pick<Extract<WaveSpec, { kind: 'localHour' }>, 'unknownZone' | 'hourPast'>
  > = {},
): WaveSpec {
  return {
    kind: 'localHour',
    date,
    time: '09:00',
    unknownZone: 'tenant',
    hourPast: 'nextDay',
    ...policies,
  };
}

describe('planWaves at once or at an instant', () => {
  it('puts every zone, unknown ones too, into one wave', () => {
    const groups = [
      { zone: 'Asia/Tokyo', customers: 3 },
      { zone: null, customers: 2 },
      { zone: '+02:00', customers: 1 },
    ];
    const atOnce = plan({ kind: 'now' }, groups);
    expect(atOnce.waves).toEqual([
      {
        n: 1,
        startsAt: now,
        closesAt: new Date('2026-03-10T13:00:00Z'),
        zones: ['Asia/Tokyo'],
        customers: 6,
      },
    ]);
    expect([...atOnce.zoneWave]).toEqual([
      ['Asia/Tokyo', 1],
      [null, 1],
      ['+02:00', 1],
    ]);
    const later = plan(
      { kind: 'instant', at: '2026-03-11T08:00:00+01:00', windowMinutes: 15 },
      groups,
    );
    expect(later.waves[0]?.startsAt.toISOString()).toBe('2026-03-11T07:00:00.000Z');
    expect(later.waves[0]?.closesAt.toISOString()).toBe('2026-03-11T07:15:00.000Z');
  });

  it('plans no wave for an empty audience', () => {
    expect(plan({ kind: 'now' }, []).waves).toEqual([]);
    expect(plan({ kind: 'now' }, [{ zone: 'UTC', customers: 0 }]).waves).toEqual([]);
  });

  it('refuses text that is no instant', () => {
    expect(() => plan({ kind: 'instant', at: 'soon' }, [{ zone: null, customers: 1 }])).toThrow(
      RangeError,
    );
  });
});

describe('planWaves at a local hour', () => {
  it('orders waves by time and lets zones of one instant, aliases too, share a wave', () => {
    const result = plan(nineOClock('2026-03-12'), [
      { zone: 'America/New_York', customers: 5 },
      { zone: 'Europe/Kyiv', customers: 1 },
      { zone: 'Europe/Kiev', customers: 2 },
      { zone: 'Africa/Cairo', customers: 4 },
      { zone: 'Asia/Tokyo', customers: 7 },
    ]);
    expect(
      result.waves.map((wave) => [wave.n, wave.startsAt.toISOString(), wave.customers]),
    ).toEqual([
      [1, '2026-03-12T00:00:00.000Z', 7],
      [2, '2026-03-12T07:00:00.000Z', 7],
      [3, '2026-03-12T13:00:00.000Z', 5],
    ]);
    expect(result.waves[1]?.zones).toHaveLength(2);
    expect(result.zoneWave.get('Europe/Kyiv')).toBe(2);
    expect(result.zoneWave.get('Europe/Kiev')).toBe(2);
    expect(result.zoneLeftOut.size).toBe(0);
  });

  it.each([
    ['tenant', '2026-03-12T08:00:00.000Z', 'Europe/Berlin'],
    ['utc', '2026-03-12T09:00:00.000Z', 'UTC'],
  ] as const)('gives unknown zones the hour of %s', (unknownZone, startsAt, zone) => {
    const result = plan(nineOClock('2026-03-12', { unknownZone }), [
      { zone: null, customers: 2 },
      { zone: 'EST', customers: 1 },
    ]);
    expect(result.waves).toHaveLength(1);
    expect(result.waves[0]).toMatchObject({
      startsAt: new Date(startsAt),
      zones: [zone],
      customers: 3,
    });
  });

  it('leaves unknown zones out when asked, and counts them', () => {
    const result = plan(nineOClock('2026-03-12', { unknownZone: 'skip' }), [
      { zone: null, customers: 2 },
      { zone: 'Mars/Olympus', customers: 1 },
      { zone: 'Asia/Tokyo', customers: 9 },
    ]);
    expect(result.leftOut).toEqual({ unknownZone: 3, hourPast: 0 });
    expect(result.zoneLeftOut.get('Mars/Olympus')).toBe('unknownZone');
    expect(result.zoneWave.has(null)).toBe(false);
    expect(result.waves).toHaveLength(1);
  });

  it('needs a valid tenant zone only when a customer needs it', () => {
    const spec = nineOClock('2026-03-12');
    expect(plan(spec, [{ zone: 'Asia/Tokyo', customers: 1 }], now, 'EST').waves).toHaveLength(1);
    expect(() => plan(spec, [{ zone: null, customers: 1 }], now, 'EST')).toThrow(RangeError);
  });

  const tokyoAndNewYork = [
    { zone: 'Asia/Tokyo', customers: 2 },
    { zone: 'America/New_York', customers: 3 },
  ];

  it('treats an hour that is over as the caller chose', () => {
    // 12:00 UTC: Tokyo's 09:00 is twelve hours ago, New York's is one hour ahead.
    const next = plan(nineOClock('2026-03-10', { hourPast: 'nextDay' }), tokyoAndNewYork);
    expect(next.waves.map((wave) => wave.startsAt.toISOString())).toEqual([
      '2026-03-10T13:00:00.000Z',
      '2026-03-11T00:00:00.000Z',
    ]);
    expect(next.zoneWave.get('Asia/Tokyo')).toBe(2);

    const atOnce = plan(nineOClock('2026-03-10', { hourPast: 'sendNow' }), tokyoAndNewYork);
    expect(atOnce.waves[0]).toMatchObject({ startsAt: now, zones: ['Asia/Tokyo'] });

    const skipped = plan(nineOClock('2026-03-10', { hourPast: 'skip' }), tokyoAndNewYork);
    expect(skipped.leftOut).toEqual({ unknownZone: 0, hourPast: 2 });
    expect(skipped.zoneLeftOut.get('Asia/Tokyo')).toBe('hourPast');
    expect(skipped.waves).toHaveLength(1);
  });

  it('does not call the very instant past', () => {
    const result = plan(
      nineOClock('2026-03-10', { hourPast: 'skip' }),
      [{ zone: 'Europe/London', customers: 1 }],
      new Date('2026-03-10T09:00:00Z'),
    );
    expect(result.waves[0]?.startsAt.toISOString()).toBe('2026-03-10T09:00:00.000Z');
    const late = plan(
      nineOClock('2026-03-10', { hourPast: 'skip' }),
      [{ zone: 'Europe/London', customers: 1 }],
      new Date('2026-03-10T09:00:00.001Z'),
    );
    expect(late.waves).toHaveLength(0);
  });

  it('finds the next hour for a date long ago, in the zone of the customer', () => {
    const result = plan(nineOClock('2019-01-01'), tokyoAndNewYork);
    expect(result.waves.map((wave) => wave.startsAt.toISOString())).toEqual([
      '2026-03-10T13:00:00.000Z',
      '2026-03-11T00:00:00.000Z',
    ]);
  });

  it('keeps the wall clock when the next day is one of a DST change', () => {
    const result = plan(
      nineOClock('2026-03-28'),
      [{ zone: 'Europe/Berlin', customers: 1 }],
      new Date('2026-03-28T10:00:00Z'),
    );
    expect(result.waves[0]?.startsAt.toISOString()).toBe('2026-03-29T07:00:00.000Z');
  });

  it('counts every customer once, in a wave or left out', () => {
    const groups = [...Intl.supportedValuesOf('timeZone'), 'EST', null].map((zone, index) => ({
      zone,
      customers: index + 1,
    }));
    const all = groups.reduce((sum, group) => sum + group.customers, 0);
    for (const hourPast of ['sendNow', 'nextDay', 'skip'] as const) {
      for (const unknownZone of ['tenant', 'utc', 'skip'] as const) {
        const result = plan(nineOClock('2026-03-10', { hourPast, unknownZone }), groups);
        const inWaves = result.waves.reduce((sum, wave) => sum + wave.customers, 0);
        expect(inWaves + result.leftOut.hourPast + result.leftOut.unknownZone).toBe(all);
        expect(result.zoneWave.size + result.zoneLeftOut.size).toBe(groups.length);
        expect(result.waves.every((wave) => wave.startsAt >= now)).toBe(true);
        expect(result.waves.map((wave) => wave.n)).toEqual(result.waves.map((_, i) => i + 1));
      }
    }
  });
});
