import { encodeQuotedPrintable, quotedPrintableRoom } from './quotedPrintable';

const usualBytes = 64 * 1024;
// What a huge message needed is not held for the small ones after it.
const mostKept = 1024 * 1024;

/**
 * The bytes of a mail, piece after piece, in memory that the next mail uses again: a buffer for each
 * piece costs more than writing it.
 */
export class MailBytes {
  private bytes = Buffer.allocUnsafeSlow(usualBytes);
  private text = Buffer.allocUnsafeSlow(usualBytes);
  private length = 0;

  /** Forgets the mail before, whether it was finished or not. */
  begin(): void {
    this.length = 0;
    if (this.bytes.length > mostKept) {
      this.bytes = Buffer.allocUnsafeSlow(usualBytes);
      this.text = Buffer.allocUnsafeSlow(usualBytes);
    }
  }

  append(text: string): void {
    this.makeRoom(Buffer.byteLength(text));
    this.length += this.bytes.write(text, this.length);
  }

  appendQuotedPrintable(text: string): void {
    const size = Buffer.byteLength(text);
    if (size > this.text.length) {
      this.text = Buffer.allocUnsafeSlow(size);
    }
    this.text.write(text);
    this.makeRoom(quotedPrintableRoom(size));
    this.length = encodeQuotedPrintable(this.text.subarray(0, size), this.bytes, this.length);
  }

  /** A copy of all of it. */
  copy(): Buffer {
    return Buffer.from(this.bytes.subarray(0, this.length));
  }

  private makeRoom(bytes: number): void {
    const needed = this.length + bytes;
    if (needed > this.bytes.length) {
      const larger = Buffer.allocUnsafeSlow(Math.max(needed, this.bytes.length * 2));
      this.bytes.copy(larger, 0, 0, this.length);
      this.bytes = larger;
    }
  }
}
