/** Things that fall due, the earliest first; things due together leave in the order they came. */
export class DueQueue<T> {
  private readonly heap: { dueAt: number; order: number; item: T }[] = [];
  private added = 0;

  get size(): number {
    return this.heap.length;
  }

  /** When the next thing falls due (ms), or null. */
  get nextDueAt(): number | null {
    return this.heap[0]?.dueAt ?? null;
  }

  push(item: T, dueAt: number): void {
    this.heap.push({ dueAt, order: this.added++, item });
    this.rise(this.heap.length - 1);
  }

  peek(): T | null {
    return this.heap[0]?.item ?? null;
  }

  pop(): T | null {
    const first = this.heap[0];
    const last = this.heap.pop();
    if (!first || !last) {
      return null;
    }
    if (this.heap.length > 0) {
      this.heap[0] = last;
      this.sink(0);
    }
    return first.item;
  }

  /** Everything that waits, in no particular order. */
  items(): T[] {
    return this.heap.map(({ item }) => item);
  }

  /** Takes out what is wanted, whether due or not, the earliest first. */
  take(wanted: (item: T) => boolean): T[] {
    const all = this.heap.splice(0).sort((a, b) => a.dueAt - b.dueAt || a.order - b.order);
    const taken: T[] = [];
    for (const entry of all) {
      if (wanted(entry.item)) {
        taken.push(entry.item);
      } else {
        // Sorted as they are, the entries form a heap again.
        this.heap.push(entry);
      }
    }
    return taken;
  }

  clear(): void {
    this.heap.length = 0;
  }

  private rise(from: number): void {
    let at = from;
    while (at > 0) {
      const parent = (at - 1) >> 1;
      if (!this.isBefore(at, parent)) {
        return;
      }
      this.swap(at, parent);
      at = parent;
    }
  }

  private sink(from: number): void {
    let at = from;
    for (;;) {
      const left = at * 2 + 1;
      const child = this.isBefore(left + 1, left) ? left + 1 : left;
      if (!this.isBefore(child, at)) {
        return;
      }
      this.swap(child, at);
      at = child;
    }
  }

  private isBefore(a: number, b: number): boolean {
    const [x, y] = [this.heap[a], this.heap[b]];
    return x !== undefined && y !== undefined
      ? x.dueAt < y.dueAt || (x.dueAt === y.dueAt && x.order < y.order)
      : false;
  }

  private swap(a: number, b: number): void {
    const [x, y] = [this.heap[a], this.heap[b]];
    if (x && y) {
      this.heap[a] = y;
      this.heap[b] = x;
    }
  }
}
