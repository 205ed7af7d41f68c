import { createRooms } from '../../activities/messages/rooms';

const patient = { untilMs: Date.now() + 60_000, signal: new AbortController().signal };

interface Work {
  begun: boolean;
  end(): void;
  done: Promise<unknown>;
}

function start(
  rooms: ReturnType<typeof createRooms>,
  group: string,
  patience: { untilMs: number; signal: AbortSignal } = patient,
): Work {
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => (end = resolve));
  const work: Work = { begun: false, end, done: Promise.resolve() };
  work.done = rooms({ group, most: 1 }, patience, async () => {
    work.begun = true;
    await ended;
    return group;
  });
  return work;
}

async function turn(): Promise<void> {
  await new Promise((resolve) => setImmediate(resolve));
}

describe('rooms', () => {
  it('let no more of a group in than there is room for, in the order they came', async () => {
    const rooms = createRooms();
    const works = [start(rooms, 'a'), start(rooms, 'a'), start(rooms, 'a')];
    for (const [index, work] of works.entries()) {
      await turn();
      expect(works.map(({ begun }) => begun)).toEqual(works.map((_, n) => n <= index));
      work.end();
      expect(await work.done).toBe('a');
    }
  });

  it('keep no group waiting for another one', async () => {
    const rooms = createRooms();
    const works = [start(rooms, 'a'), start(rooms, 'b')];
    await turn();
    expect(works.map(({ begun }) => begun)).toEqual([true, true]);
  });

  it('do without the work of who was told to stop, and let the next one in', async () => {
    const rooms = createRooms();
    const stop = new AbortController();
    const first = start(rooms, 'a');
    const stopped = start(rooms, 'a', { ...patient, signal: stop.signal });
    const last = start(rooms, 'a');
    stop.abort();
    expect(await stopped.done).toBeNull();
    first.end();
    await turn();
    expect([stopped.begun, last.begun]).toEqual([false, true]);
  });

  it('do without the work of who waited until its time was over', async () => {
    const rooms = createRooms();
    start(rooms, 'a');
    const late = start(rooms, 'a', { ...patient, untilMs: Date.now() });
    expect(await late.done).toBeNull();
    expect(late.begun).toBe(false);
  });

  it('let the next one in when work fails', async () => {
    const rooms = createRooms();
    const failing = rooms({ group: 'a', most: 1 }, patient, () => Promise.reject(new Error('no')));
    const next = start(rooms, 'a');
    await expect(failing).rejects.toThrow('no');
    await turn();
    expect(next.begun).toBe(true);
  });
});
