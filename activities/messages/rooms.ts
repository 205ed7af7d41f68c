/** When somebody who waits gives up. */
export interface Patience {
  untilMs: number;
  signal: AbortSignal;
}

/**
 * Lets a few pieces of work of each group through at a time; the others of the group wait in the
 * order they came. Null when patience ended before the work could begin.
 */
export type Rooms = <T>(
  room: { group: string; most: number },
  patience: Patience,
  work: () => Promise<T>,
) => Promise<T | null>;

interface Room {
  inside: number;
  waiting: Set<() => void>;
}

export function createRooms(): Rooms {
  const rooms = new Map<string, Room>();
  return async ({ group, most }, patience, work) => {
    const room = rooms.get(group) ?? { inside: 0, waiting: new Set() };
    if (room.inside < most) {
      rooms.set(group, room);
      room.inside += 1;
    } else if (!(await isLetIn(room, patience))) {
      return null;
    }
    try {
      return await work();
    } finally {
      const [next] = room.waiting;
      if (next !== undefined) {
        next();
      } else if (--room.inside === 0) {
        rooms.delete(group);
      }
    }
  };
}

function isLetIn({ waiting }: Room, { untilMs, signal }: Patience): Promise<boolean> {
  return new Promise((resolve) => {
    const end = (isIn: boolean) => {
      waiting.delete(comeIn);
      signal.removeEventListener('abort', giveUp);
      clearTimeout(timer);
      resolve(isIn);
    };
    const comeIn = () => end(true);
    const giveUp = () => end(false);
    const timer = setTimeout(giveUp, Math.max(untilMs - Date.now(), 0));
    signal.addEventListener('abort', giveUp);
    waiting.add(comeIn);
  });
}
