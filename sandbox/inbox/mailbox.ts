import type { JournaledRequest } from '../journal';
import type { Envelope, MessageContent, OpenRequest, Vendor } from '../vendor';

const OPEN_REQUESTS_KEPT = 8;

/** A message's place, and what the index alone knows of it. */
export interface IndexedMessage {
  id: string;
  to: string;
  subject: string;
  run: string | null;
  receivedAt: number;
}

export interface MessageFilter {
  /** Part of an address or of a subject, whatever its case. */
  search?: string;
  /** A whole address, whatever its case. */
  to?: string;
  /** Part of a subject, whatever its case. */
  subject?: string;
  run?: string;
}

/**
 * Every accepted message. In memory lie address, subject and place only (about 150 bytes a
 * message); bodies are read from the journal when someone looks.
 */
export class Mailbox {
  private requests: JournaledRequest[] = [];
  private firstMessages: number[] = [];
  private byMessageId = new Map<string, number>();
  private addresses: string[] = [];
  private subjects: string[] = [];
  private runs: (string | null)[] = [];
  private requestOf: number[] = [];
  private readonly opened = new Map<string, OpenRequest>();

  constructor(
    private readonly readBody: (request: JournaledRequest) => Promise<Buffer>,
    private readonly vendors: ReadonlyMap<string, Vendor>,
  ) {}

  get size(): number {
    return this.addresses.length;
  }

  add(request: JournaledRequest, open: OpenRequest): void {
    const place = this.requests.push(request) - 1;
    this.firstMessages.push(this.addresses.length);
    this.byMessageId.set(request.messageId, place);
    // One string for all who got the same, instead of one for each.
    let lastSubject = '';
    let lastRun: string | null = null;
    for (const { to, subject, run } of open.deliveries) {
      lastSubject = subject === lastSubject ? lastSubject : subject;
      lastRun = run === lastRun ? lastRun : run;
      this.addresses.push(to);
      this.subjects.push(lastSubject);
      this.runs.push(lastRun);
      this.requestOf.push(place);
    }
    this.keepOpen(request, open);
  }

  /** Newest first. */
  find(filter: MessageFilter, page: { page: number; perPage: number }) {
    const matches = this.matcher(filter);
    const first = (page.page - 1) * page.perPage;
    const items: IndexedMessage[] = [];
    let total = 0;
    for (let index = this.addresses.length - 1; index >= 0; index -= 1) {
      if (matches(index)) {
        if (total >= first && items.length < page.perPage) {
          items.push(this.describe(index));
        }
        total += 1;
      }
    }
    return { total, items };
  }

  /** The message of an id, or null. */
  read(id: string): Promise<{ indexed: IndexedMessage; content: MessageContent } | null> {
    return this.look(id, (open, ordinal) => open.message(ordinal));
  }

  /** What a list shows of a message, or null. */
  readEnvelope(id: string): Promise<{ indexed: IndexedMessage; content: Envelope } | null> {
    return this.look(id, (open, ordinal) => open.envelope(ordinal));
  }

  /** What an accepted request says, read again from the journal if need be. */
  async open(request: JournaledRequest): Promise<OpenRequest> {
    const known = this.opened.get(request.messageId);
    if (known) {
      return known;
    }
    const vendor = this.vendors.get(request.vendor);
    if (!vendor) {
      throw new Error(
        `the journal holds a request of a vendor that is not here: ${request.vendor}`,
      );
    }
    const open = vendor.open(request, await this.readBody(request));
    this.keepOpen(request, open);
    return open;
  }

  /** The request of the vendor's id, or null. */
  requestOfId(messageId: string): JournaledRequest | null {
    return this.requests[this.byMessageId.get(messageId) ?? -1] ?? null;
  }

  allRequests(): readonly JournaledRequest[] {
    return this.requests;
  }

  /** The requests of one run, in the order they came. */
  requestsOfRun(run: string): JournaledRequest[] {
    return this.requests.filter((_, place) => this.runs[this.firstMessages[place] ?? -1] === run);
  }

  clear(): void {
    this.requests = [];
    this.firstMessages = [];
    this.byMessageId = new Map();
    this.addresses = [];
    this.subjects = [];
    this.runs = [];
    this.requestOf = [];
    this.opened.clear();
  }

  private async look<T>(id: string, view: (open: OpenRequest, ordinal: number) => T) {
    const index = this.locate(id);
    const place = index === null ? undefined : this.requestOf[index];
    const request = place === undefined ? undefined : this.requests[place];
    if (index === null || place === undefined || !request) {
      return null;
    }
    const ordinal = index - (this.firstMessages[place] ?? 0);
    return { indexed: this.describe(index), content: view(await this.open(request), ordinal) };
  }

  private locate(id: string): number | null {
    const dot = id.lastIndexOf('.');
    const place = this.byMessageId.get(id.slice(0, dot));
    const ordinal = Number(id.slice(dot + 1));
    if (place === undefined || !Number.isInteger(ordinal) || ordinal < 0) {
      return null;
    }
    const index = (this.firstMessages[place] ?? 0) + ordinal;
    return this.requestOf[index] === place ? index : null;
  }

  private describe(index: number): IndexedMessage {
    const place = this.requestOf[index] ?? 0;
    const request = this.requests[place];
    return {
      id: `${request?.messageId}.${index - (this.firstMessages[place] ?? 0)}`,
      to: this.addresses[index] ?? '',
      subject: this.subjects[index] ?? '',
      run: this.runs[index] ?? null,
      receivedAt: request?.receivedAt ?? 0,
    };
  }

  private matcher({ search, to, subject, run }: MessageFilter): (index: number) => boolean {
    const has = (text: string | undefined, part: string) =>
      text?.toLowerCase().includes(part) === true;
    const tests: ((index: number) => boolean)[] = [];
    if (run) {
      tests.push((index) => this.runs[index] === run);
    }
    if (to) {
      const address = to.toLowerCase();
      tests.push((index) => this.addresses[index]?.toLowerCase() === address);
    }
    if (subject) {
      const part = subject.toLowerCase();
      tests.push((index) => has(this.subjects[index], part));
    }
    if (search) {
      const part = search.toLowerCase();
      tests.push((index) => has(this.addresses[index], part) || has(this.subjects[index], part));
    }
    return (index) => tests.every((test) => test(index));
  }

  private keepOpen(request: JournaledRequest, open: OpenRequest): void {
    this.opened.set(request.messageId, open);
    const oldest = this.opened.keys().next();
    if (this.opened.size > OPEN_REQUESTS_KEPT && !oldest.done) {
      this.opened.delete(oldest.value);
    }
  }
}
