const opening = '{"personalizations":';
const openBracket = 0x5b;

// As many as are under way at once in a busy process; each is as large as a call.
const mostSpare = 16;

/**
 * Memory of requests that have left, for the next ones: a megabyte from the system for each costs as
 * much as writing it, and moves the collector to look through all that lives.
 */
export class SpareBodies {
  private readonly spare: Buffer[] = [];

  take(length: number): Buffer {
    const found = this.spare.pop();
    return found !== undefined && found.length >= length
      ? found
      : Buffer.allocUnsafeSlow(Math.ceil(length * 1.125));
  }

  /** Nobody may read these bytes any more: what is written next is another call's. */
  giveBack(bytes: Buffer): void {
    if (this.spare.length < mostSpare) {
      this.spare.push(bytes);
    }
  }
}

export interface FinishedBody {
  bytes: Buffer;
  messageNs: number[];
  memory: Buffer;
}

/**
 * The bytes of a request, written piece by piece: joined to one text first, a megabyte costs twice
 * as much, and its thousand texts live until it is sent.
 */
export class MailBody {
  private bytes: Buffer;
  private length = 0;
  private readonly messageNs: number[] = [];
  /** Where each recipient's piece begins; each begins with a comma. */
  private readonly starts: number[] = [];

  constructor(usualLength: number, spare: SpareBodies) {
    this.bytes = spare.take(usualLength + 4_096);
    this.write(opening);
  }

  add(messageN: number, json: string): void {
    this.messageNs.push(messageN);
    this.starts.push(this.length);
    this.write(`,${json}`);
  }

  /**
   * The whole request without some recipients; nothing can be added after it. `memory` is what holds
   * its bytes.
   */
  finish(rest: string, without: ReadonlySet<number>): FinishedBody {
    const messageNs = this.keepAllBut(without);
    if (messageNs.length === 0) {
      this.write('[');
    } else {
      // The list opens where the comma before its first piece stands.
      this.bytes[opening.length] = openBracket;
    }
    this.write(`]${rest}`);
    return { bytes: this.bytes.subarray(0, this.length), messageNs, memory: this.bytes };
  }

  private keepAllBut(without: ReadonlySet<number>): number[] {
    const kept = this.messageNs.filter((messageN) => !without.has(messageN));
    if (kept.length === this.messageNs.length) {
      return kept;
    }
    let length = opening.length;
    for (const [index, messageN] of this.messageNs.entries()) {
      if (!without.has(messageN)) {
        const end = this.starts[index + 1] ?? this.length;
        length += this.bytes.copy(this.bytes, length, this.starts[index], end);
      }
    }
    this.length = length;
    return kept;
  }

  private write(text: string): void {
    // No UTF-16 unit takes more than three bytes, which settles nearly every case without counting.
    if (this.length + text.length * 3 > this.bytes.length) {
      const needed = this.length + Buffer.byteLength(text);
      if (needed > this.bytes.length) {
        const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
        this.bytes.copy(larger, 0, 0, this.length);
        this.bytes = larger;
      }
    }
    this.length += this.bytes.write(text, this.length);
  }
}
