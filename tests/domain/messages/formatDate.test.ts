import { formatDate } from '../../../domain/messages/formatDate';

const instant = new Date('2026-03-09T05:04:03.007Z');

describe('formatDate', () => {
  it.each([
    ['%Y-%m-%d %H:%M:%S', '2026-03-09 05:04:03'],
    ['%d %B %Y', '09 March 2026'],
    ['%-d %b %y', '9 Mar 26'],
    ['%e|%k|%l|%I', ' 9| 5| 5|05'],
    ['%A %a %^a %#p', 'Monday Mon MON am'],
    ['%j %U %W %u %w', '068 10 10 1 1'],
    ['%p %P %L %s', 'AM am 007 1773032643'],
    ['%-d%q', '9th'],
    ['%z %:z %Z', '+0000 +00:00 UTC'],
    ['%D %F %T %R', '03/09/26 2026-03-09 05:04:03 05:04'],
    ['%x %X | %c', '2026-03-09 05:04:03 | 2026-03-09 05:04:03'],
    ['%10Y|%_5d|%05d|%C', '0000002026|    9|00009|20'],
    ['100%% %n%t%i', '100% \n\t%i'],
    ['', ''],
  ])('prints %s', (format, expected) => {
    expect(formatDate({ value: instant, format })).toBe(expected);
  });

  it('has a format of its own', () => {
    expect(formatDate({ value: instant })).toBe('Monday, March 9, 2026 at 5:04 am +0000');
  });

  it.each([
    ['Asia/Kolkata', '2026-03-09 10:34 +0530 Asia/Calcutta'],
    ['America/New_York', '2026-03-09 01:04 -0400 America/New_York'],
    ['UTC', '2026-03-09 05:04 +0000 UTC'],
    [-120, '2026-03-09 07:04 +0200 +0200'],
  ])('shows the clock of %s', (zone, expected) => {
    expect(formatDate({ value: instant, format: '%Y-%m-%d %H:%M %z %Z', zone })).toBe(expected);
  });

  it('knows clock changes', () => {
    const at = (value: string) => formatDate({ value, format: '%H:%M', zone: 'Europe/Berlin' });
    expect(at('2026-03-29T00:59:00Z')).toBe('01:59');
    expect(at('2026-03-29T01:00:00Z')).toBe('03:00');
  });

  it.each([
    ['2026-03-09', '2026-03-09 00:00'],
    ['2026-03-09T05:04', '2026-03-09 05:04'],
    ['2026-03-09T05:04:00+02:00', '2026-03-09 03:04'],
    ['2026-03-09 05:04:00', '2026-03-09 05:04'],
    [' 2026-03-09 ', '2026-03-09 00:00'],
    [1773032643, '2026-03-09 05:04'],
    ['1773032643', '2026-03-09 05:04'],
    [0, '1970-01-01 00:00'],
  ])('reads %j', (value, expected) => {
    expect(formatDate({ value, format: '%Y-%m-%d %H:%M' })).toBe(expected);
  });

  it.each([
    null,
    undefined,
    '',
    'soon',
    '03/05/2024',
    '2026-02-30',
    true,
    {},
    [],
    Number.NaN,
    1e300,
  ])('takes %j for no date', (value) => {
    expect(formatDate({ value, format: '%Y' })).toBeNull();
  });

  it.each(['Mars/Base', 'EST', '+02:00', ''])('refuses the zone %j', (zone) => {
    expect(() => formatDate({ value: instant, zone })).toThrow(RangeError);
  });

  it('pads no further than is sensible', () => {
    expect(formatDate({ value: instant, format: '%999999999d' })).toHaveLength(64);
  });

  it('prints ordinals', () => {
    const days = [1, 2, 3, 4, 10, 11, 12, 13, 20, 21, 22, 23, 31];
    expect(
      days.map((day) => formatDate({ value: new Date(Date.UTC(2026, 0, day)), format: '%-d%q' })),
    ).toEqual([
      '1st',
      '2nd',
      '3rd',
      '4th',
      '10th',
      '11th',
      '12th',
      '13th',
      '20th',
      '21st',
      '22nd',
      '23rd',
      '31st',
    ]);
  });
});
