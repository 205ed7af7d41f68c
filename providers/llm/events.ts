/**
 * The data of each event of a stream (text/event-stream), in order. Comments and everything else but
 * `data` are passed over: vendors of models use no more of it. The client's own reader hides the mark
 * at the end, and prints what it cannot read.
 */
export class EventReader {
  private readonly decoder = new TextDecoder();
  private rest = '';
  private data: string[] = [];

  /** The events that are whole with these bytes. */
  take(bytes: Uint8Array): string[] {
    const lines = (this.rest + this.decoder.decode(bytes, { stream: true })).split('\n');
    // The last one may go on.
    this.rest = lines.pop() ?? '';
    if (this.rest.length > longestLine) {
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

// It is looked through again with every piece that comes.
const longestLine = 1024 * 1024;
