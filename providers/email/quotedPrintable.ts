const CARRIAGE_RETURN = 0x0d;
const NEWLINE = 0x0a;
const SPACE = 0x20;
const TAB = 0x09;
const EQUALS = 0x3d;
const TILDE = 0x7e;
const HEX = Buffer.from('0123456789ABCDEF');
// RFC 2045 6.7: 76 characters with the equals sign that says that the line goes on.
const LONGEST_LINE = 75;

// Bytes that stand for themselves wherever they are: a loop over every byte of every mail asks.
const LITERAL = Uint8Array.from({ length: 256 }, (_, byte) =>
  byte > SPACE && byte <= TILDE && byte !== EQUALS ? 1 : 0,
);

/** The most bytes that quoted-printable makes of so many. */
export function quotedPrintableRoom(length: number): number {
  // Three characters a byte at worst, and three more for each line of at least 73.
  return length * 3 + Math.ceil(length / 24) * 3 + 3;
}

/**
 * Writes a text as quoted-printable (RFC 2045 6.7): 7 bits, short lines, and after decoding the same
 * bytes, with each line break as CR LF, which is what a line break is in mail. `target` has room for it
 * from `start`; answers where it ends.
 */
export function encodeQuotedPrintable(bytes: Buffer, target: Buffer, start: number): number {
  const { length } = bytes;
  let at = start;
  let column = 0;
  for (let index = 0; index < length; index += 1) {
    const byte = bytes[index] ?? 0;
    const isLiteral = LITERAL[byte] === 1;
    if (!isLiteral && isLineBreakAt(bytes, index)) {
      target[at++] = CARRIAGE_RETURN;
      target[at++] = NEWLINE;
      column = 0;
      index += byte === CARRIAGE_RETURN ? 1 : 0;
      continue;
    }
    const stands = isLiteral || isInnerSpace(bytes, index);
    const width = stands ? 1 : 3;
    if (column + width > LONGEST_LINE) {
      target[at++] = EQUALS;
      target[at++] = CARRIAGE_RETURN;
      target[at++] = NEWLINE;
      column = 0;
    }
    if (stands) {
      target[at++] = byte;
    } else {
      target[at++] = EQUALS;
      target[at++] = HEX[byte >> 4] ?? 0;
      target[at++] = HEX[byte & 15] ?? 0;
    }
    column += width;
  }
  return at;
}

function isLineBreakAt(bytes: Buffer, index: number): boolean {
  const byte = bytes[index];
  return byte === NEWLINE || (byte === CARRIAGE_RETURN && bytes[index + 1] === NEWLINE);
}

/** A space or tab that is not at the end of a line, where it would be lost on the way. */
function isInnerSpace(bytes: Buffer, index: number): boolean {
  const byte = bytes[index];
  return (
    (byte === SPACE || byte === TAB) && index + 1 < bytes.length && !isLineBreakAt(bytes, index + 1)
  );
}
