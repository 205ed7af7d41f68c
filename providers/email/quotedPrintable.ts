const CARRIAGE_RETURN = 0x0d;
const NEWLINE = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;
const EQUALS = 0x3d;
const TILDE = 0x7e;
const HEX = Buffer.from('0123456789ABCDEF');
// RFC 2045 6.7: 76 characters with the equals sign that says that the line goes on.
const LONGEST_LINE = 75;

/**
 * A text as quoted-printable (RFC 2045 6.7): 7 bits, short lines, and after decoding the same bytes,
 * with each line break as CR LF, which is what a line break is in mail.
 */
export function encodeQuotedPrintable(text: string): Buffer {
  const bytes = Buffer.from(text);
  // Three characters a byte at worst, and three more for each line of at least 73.
  const encoded = Buffer.allocUnsafe(bytes.length * 3 + Math.ceil(bytes.length / 24) * 3 + 3);
  let at = 0;
  let column = 0;
  for (let index = 0; index < bytes.length; index += 1) {
    const byte = bytes[index] ?? 0;
    if (isLineBreakAt(bytes, index)) {
      encoded[at] = CARRIAGE_RETURN;
      encoded[at + 1] = NEWLINE;
      at += 2;
      column = 0;
      index += byte === CARRIAGE_RETURN ? 1 : 0;
      continue;
    }
    const literal = isLiteral(bytes, index, byte);
    const width = literal ? 1 : 3;
    if (column + width > LONGEST_LINE) {
      encoded[at] = EQUALS;
      encoded[at + 1] = CARRIAGE_RETURN;
      encoded[at + 2] = NEWLINE;
      at += 3;
      column = 0;
    }
    if (literal) {
      encoded[at] = byte;
    } else {
      encoded[at] = EQUALS;
      encoded[at + 1] = HEX[byte >> 4] ?? 0;
      encoded[at + 2] = HEX[byte & 15] ?? 0;
    }
    at += width;
    column += width;
  }
  return encoded.subarray(0, at);
}

function isLineBreakAt(bytes: Buffer, index: number): boolean {
  const byte = bytes[index];
  return byte === NEWLINE || (byte === CARRIAGE_RETURN && bytes[index + 1] === NEWLINE);
}

function isLiteral(bytes: Buffer, index: number, byte: number): boolean {
  if (byte === SPACE || byte === TAB) {
    // At the end of a line they are lost on the way.
    return index + 1 < bytes.length && !isLineBreakAt(bytes, index + 1);
  }
  return byte > SPACE && byte <= TILDE && byte !== EQUALS;
}
