interface Waiting<Item> {
  item: Item;
  resolve: () => void;
  reject: (error: unknown) => void;
}

/**
 * Does together what comes one by one: while a group of a key is under way, others gather, and what
 * has gathered is the next one. Nobody waits for company, and each is answered when its own group is
 * done, or failed.
 */
export function createGroups<Item>(options: {
  most: number;
  work(key: string, items: Item[]): Promise<void>;
}): (key: string, item: Item) => Promise<void> {
  const gathering = new Map<string, Waiting<Item>[]>();
  return (key, item) =>
    new Promise((resolve, reject) => {
      const waiting = gathering.get(key) ?? [];
      waiting.push({ item, resolve, reject });
      if (!gathering.has(key)) {
        gathering.set(key, waiting);
        void workThrough(key, waiting);
      }
    });

  async function workThrough(key: string, waiting: Waiting<Item>[]): Promise<void> {
    while (waiting.length > 0) {
      const group = waiting.splice(0, options.most);
      try {
        await options.work(
          key,
          group.map(({ item }) => item),
        );
        group.forEach(({ resolve }) => resolve());
      } catch (error) {
        group.forEach(({ reject }) => reject(error));
      }
    }
    gathering.delete(key);
  }
}

/** Asks once for all who want the same at the same moment. */
export function createSharedAsking<Answer>(): (
  key: string,
  ask: () => Promise<Answer>,
) => Promise<Answer> {
  const asked = new Map<string, Promise<Answer>>();
  return (key, ask) => {
    const under = asked.get(key);
    if (under !== undefined) {
      return under;
    }
    const answer = ask().finally(() => asked.delete(key));
    asked.set(key, answer);
    return answer;
  };
}
