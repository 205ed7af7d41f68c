import { stripVTControlCharacters } from 'node:util';
import { createOutput } from '../../workers/launch/output';

function outputTo(isTerminal: boolean, level = 'info') {
  const written: string[] = [];
  const output = createOutput({ isTerminal, level, write: (text) => written.push(text) });
  return { output, written };
}

describe('output that no terminal shows', () => {
  test('passes a JSON line on with the part that wrote it', () => {
    const { output, written } = outputTo(false);
    output.line('api', '{"level":40,"time":1700000000000,"pid":7,"route":"/ready","msg":"slow"}');
    expect(written.map((text) => JSON.parse(text))).toEqual([
      { part: 'api', level: 40, time: 1_700_000_000_000, pid: 7, route: '/ready', msg: 'slow' },
    ]);
  });

  test("understands Temporal's words for level and time", () => {
    const { output, written } = outputTo(false);
    output.line('temporal', '{"level":"warn","ts":"2026-03-01T00:00:00.000Z","msg":"busy"}');
    expect(JSON.parse(written[0] ?? '')).toEqual({
      part: 'temporal',
      level: 40,
      time: Date.UTC(2026, 2, 1),
      msg: 'busy',
    });
  });

  test.each(['a crash', '{not json', '', '{"broken":'])('wraps %j, which is no JSON', (text) => {
    const { output, written } = outputTo(false);
    output.line('worker', text);
    expect(JSON.parse(written[0] ?? '')).toMatchObject({ part: 'worker', level: 30, msg: text });
  });

  test("keeps Postgres's everyday lines for those who want them", () => {
    const { output, written } = outputTo(false);
    output.line('postgres', 'LOG:  checkpoint starting: time');
    output.line('postgres', 'FATAL:  sorry, too many clients already');
    expect(written).toHaveLength(1);
    expect(JSON.parse(written[0] ?? '')).toMatchObject({ level: 40 });
    const curious = outputTo(false, 'debug');
    curious.output.line('postgres', 'LOG:  checkpoint starting: time');
    expect(curious.written).toHaveLength(1);
  });
});

describe('output on a terminal', () => {
  const plain = (text: string | undefined) => stripVTControlCharacters(text ?? '');

  test('has the part in front of every line, also of one that breaks', () => {
    const { output, written } = outputTo(true);
    output.line('api', '{"level":50,"msg":"first\\nsecond"}');
    expect(plain(written[0])).toMatch(/^api {6}│ \d\d:\d\d:\d\d first\napi {6}│ second$/);
  });

  test('shows what a line carries beside its message, without the noise', () => {
    const { output, written } = outputTo(true);
    output.line('worker', '{"level":30,"pid":1,"hostname":"h","wave":3,"queue":"q","msg":"sent"}');
    expect(plain(written[0])).toMatch(/sent wave=3 queue=q$/);
  });

  test('prints the closing table as it is', () => {
    const { output, written } = outputTo(true);
    output.print('┌──┐');
    expect(written).toEqual(['┌──┐']);
  });
});
