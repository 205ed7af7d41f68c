import { llmPriorities, type LlmPriority } from './types';

/** Whose turn it is: those of a class share it alike, however many of theirs wait. */
export interface Turn {
  readonly priority: LlmPriority;
  /** Who waits: turns are taken by these. */
  readonly ownerId: string;
}

/**
 * What waits, by class and by owner. Within a class owners take turns, and what is of one goes in the
 * order in which it came.
 */
export class Turns<T> {
  private readonly classes: ReadonlyMap<LlmPriority, Map<string, Set<T>>> = new Map(
    llmPriorities.map((priority) => [priority, new Map()]),
  );
  private count = 0;

  get size(): number {
    return this.count;
  }

  add(item: T, { priority, ownerId }: Turn): void {
    const owners = this.classes.get(priority);
    const items = owners?.get(ownerId) ?? new Set();
    owners?.set(ownerId, items.add(item));
    this.count += 1;
  }

  /** Does nothing when it is not there any more. */
  delete(item: T, { priority, ownerId }: Turn): void {
    const owners = this.classes.get(priority);
    const items = owners?.get(ownerId);
    if (items?.delete(item) === true) {
      this.count -= 1;
    }
    if (items?.size === 0) {
      owners?.delete(ownerId);
    }
  }

  /**
   * Offers whatever there is to take, to each at most once. Whoever took something is the last of its
   * class then; whoever could take nothing keeps its turn.
   */
  offer(take: (item: T) => boolean): void {
    for (const [priority, owners] of this.classes) {
      let inTurn = [...owners].map(([ownerId, items]) => ({ ownerId, left: items.values() }));
      while (inTurn.length > 0) {
        inTurn = inTurn.filter(({ ownerId, left }) => {
          const taken = firstTaken(left, take);
          if (taken === undefined) {
            return false;
          }
          this.delete(taken.item, { priority, ownerId });
          const others = owners.get(ownerId);
          if (others !== undefined) {
            owners.delete(ownerId);
            owners.set(ownerId, others);
          }
          return true;
        });
      }
    }
  }
}

function firstTaken<T>(
  left: IterableIterator<T>,
  take: (item: T) => boolean,
): { item: T } | undefined {
  for (const item of left) {
    if (take(item)) {
      return { item };
    }
  }
  return undefined;
}
