import type { VendorEvent } from './vendor';
import type { VisitResult } from './visits';

const KEPT_POSTS = 1_000;

/** One attempt to deliver events (or one round of visits), as a test can look at it. */
export interface EventPost {
  n: number;
  postedAt: string;
  /** 1 for the first. */
  attempt: number;
  replay: boolean;
  /** The webhook's answer; null when there was none. */
  status: number | null;
  error: string | null;
  count: number;
  /** How many of each kind, e.g. `{ processed: 1000 }`. */
  kinds: Record<string, number>;
  visits: VisitResult[];
  /** What the post was made of. */
  units: { messageId: string; stage: string }[];
}

export interface PostFigures {
  posts: number;
  /** Events in posts that were taken, and in posts that were not. */
  posted: number;
  failed: number;
  visits: number;
}

/** The latest thousand posts, and sums over all of them. */
export class PostLog {
  private posts: EventPost[] = [];
  private sums: PostFigures = { posts: 0, posted: 0, failed: 0, visits: 0 };

  note(
    post: Pick<EventPost, 'attempt' | 'replay' | 'status' | 'error' | 'visits' | 'units'> & {
      events: VendorEvent[];
    },
  ): void {
    const { events, ...facts } = post;
    const taken = post.status !== null && post.status >= 200 && post.status < 300;
    this.sums.posts += 1;
    this.sums[taken ? 'posted' : 'failed'] += events.length;
    this.sums.visits += post.visits.length;
    this.posts.push({
      ...facts,
      n: this.sums.posts,
      postedAt: new Date().toISOString(),
      count: events.length,
      kinds: countKinds(events),
    });
    if (this.posts.length > KEPT_POSTS) {
      this.posts.shift();
    }
  }

  list(from: number, limit: number): EventPost[] {
    return this.posts.filter(({ n }) => n >= from).slice(0, limit);
  }

  figures(): PostFigures {
    return { ...this.sums };
  }

  since(before: PostFigures): { posted: number; failed: number } {
    return {
      posted: this.sums.posted - before.posted,
      failed: this.sums.failed - before.failed,
    };
  }

  clear(): void {
    this.posts = [];
    this.sums = { posts: 0, posted: 0, failed: 0, visits: 0 };
  }
}

function countKinds(events: VendorEvent[]): Record<string, number> {
  const kinds: Record<string, number> = {};
  for (const { event } of events) {
    const kind = String(event);
    kinds[kind] = (kinds[kind] ?? 0) + 1;
  }
  return kinds;
}
