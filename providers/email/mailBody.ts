const opening = '{"personalizations":';
const openBracket = 0x5b;

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

  constructor(usualLength: number) {
    this.bytes = Buffer.allocUnsafeSlow(usualLength + 4_096);
    this.write(opening);
  }

  add(messageN: number, json: string): void {
    this.messageNs.push(messageN);
    this.starts.push(this.length);
    this.write(`,${json}`);
  }

  /** The whole request without some recipients; nothing can be added after it. */
  finish(rest: string, without: ReadonlySet<number>): { bytes: Buffer; messageNs: number[] } {
    const messageNs = this.keepAllBut(without);
    if (messageNs.length === 0) {
      this.write('[');
    } else {
      // The list opens where the comma before its first piece stands.
      this.bytes[opening.length] = openBracket;
    }
    this.write(`]${rest}`);
    return { bytes: this.bytes.subarray(0, this.length), messageNs };
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
