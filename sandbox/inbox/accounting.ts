import type { Delivery } from '../vendor';

const LISTED_DUPLICATES = 100;

export interface Duplicate {
  to: string;
  subject?: string;
  run?: string;
  count: number;
}

/** Counts who got what how often, so that a test can show that nobody got anything twice. */
export class Accounting {
  private delivered = 0;
  private recipients = new Set<string>();
  // By run, then address: the address strings are shared with the index, so a message costs a slot only.
  private runs = new Map<string, Map<string, number>>();
  // Mail without a run is known by its subject and address.
  private loose = new Map<string, Map<string, number>>();

  add(delivery: Delivery): void {
    this.delivered += 1;
    const to = delivery.to.toLowerCase();
    this.recipients.add(to);
    if (delivery.run === null) {
      countUp(this.loose, to, delivery.subject);
    } else {
      countUp(this.runs, delivery.run, to);
    }
  }

  /** Messages that a sink received: known by number alone. */
  addUnseen(messages: number): void {
    this.delivered += messages;
  }

  figures() {
    const duplicates: Duplicate[] = [];
    let duplicateCount = 0;
    const note = (duplicate: Duplicate) => {
      duplicateCount += 1;
      if (duplicates.length < LISTED_DUPLICATES) {
        duplicates.push(duplicate);
      }
    };
    for (const [run, counts] of this.runs) {
      for (const [to, count] of counts) {
        if (count > 1) {
          note({ to, run, count });
        }
      }
    }
    for (const [to, counts] of this.loose) {
      for (const [subject, count] of counts) {
        if (count > 1) {
          note({ to, subject, count });
        }
      }
    }
    return {
      delivered: this.delivered,
      distinctRecipients: this.recipients.size,
      duplicateCount,
      duplicates,
    };
  }

  clear(): void {
    this.delivered = 0;
    this.recipients = new Set();
    this.runs = new Map();
    this.loose = new Map();
  }
}

function countUp(counts: Map<string, Map<string, number>>, group: string, key: string): void {
  const inner = counts.get(group) ?? new Map<string, number>();
  counts.set(group, inner);
  inner.set(key, (inner.get(key) ?? 0) + 1);
}
