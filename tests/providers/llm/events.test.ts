import { EventReader } from '../../../providers/llm/events';

const bytes = (text: string) => new TextEncoder().encode(text);

test('reads events wherever they are cut', () => {
  const text = 'data: one\r\ndata: two\n\n: comment\nevent: x\ndata:three\n\ndata: fö';
  const whole = new EventReader();
  expect(whole.take(bytes(text))).toEqual(['one\ntwo', 'three']);
  const cut = new EventReader();
  expect([...bytes(text)].flatMap((byte) => cut.take(Uint8Array.of(byte)))).toEqual([
    'one\ntwo',
    'three',
  ]);
  expect(cut.take(bytes('ur\n\n'))).toEqual(['föur']);
});

test('a long line that comes byte by byte is not looked through anew with each', () => {
  const reader = new EventReader();
  reader.take(bytes(`data: ${'x'.repeat(900_000)}`));
  const before = process.cpuUsage().user;
  for (let n = 0; n < 50_000; n += 1) {
    reader.take(bytes('x'));
  }
  // Looking through all of it would take a minute.
  expect(process.cpuUsage().user - before).toBeLessThan(10_000_000);
  expect(reader.take(bytes('\n\n'))[0]).toHaveLength(950_000);
});

test('a line without an end is given up', () => {
  const reader = new EventReader();
  const piece = bytes('x'.repeat(65_536));
  expect(() => Array.from({ length: 20 }, () => reader.take(piece))).toThrow(RangeError);
});
