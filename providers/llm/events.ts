/**
 * The data of each event of a stream (text/event-stream), in order. Comments and everything else but
 * `data` are passed over: vendors of models use no more of it. The client's own reader hides the mark
 * at the end, and prints what it cannot read.
 */
export class EventReader {
  private readonly decoder = new TextDecoder();
  // Of a line that goes on: only what is new is looked through for its end.
  private rest: string[] = [];
  private restLength = 0;
  private data: string[] = [];

  /** The events that are whole with these bytes. */
  take(bytes: Uint8Array): string[] {
    const [first = '', ...others] = this.decoder.decode(bytes, { stream: true }).split('\n');
    this.rest.push(first);
    this.restLength += first.length;
    const lines: string[] = [];
    if (others.length > 0) {
      const goesOn = others.pop() ?? '';
      lines.push(this.rest.join(''), ...others);
      this.rest = [goesOn];
      this.restLength = goesOn.length;
    }
    if (this.restLength > longestLine) {
      throw new RangeError('a line without an end');
    }
    const events: string[] = [];
    for (const line of lines) {
      const text = line.endsWith('\r') ? line.slice(0, -1) : line;
      if (text === '') {
        this.flush(events);
      } else if (text.startsWith('data:')) {
        this.data.push(text.slice(text.startsWith('data: ') ? 6 : 5));
      }
    }
    return events;
  }

  private flush(events: string[]): void {
    if (this.data.length > 0) {
      events.push(this.data.join('\n'));
      this.data = [];
    }
  }
}

const longestLine = 1024 * 1024;
