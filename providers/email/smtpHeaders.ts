// A line break in a header would begin another header; each becomes a space, as in the preview.
// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const controlCharacters = /[\u0000-\u001f\u007f]/g;
// What may stand in a header as it is: single spaces, nothing that reads as an encoded word.
const plainText = /^(?!.*=\?)[\x21-\x7e]+( [\x21-\x7e]+)*$/;
const longestPlainText = 60;
// RFC 2047 2: an encoded word has at most 75 characters, a line with one at most 76.
const encodedWordBytes = 39;

/** The text of a header such as a subject: every character arrives, control characters as spaces. */
export function headerText(text: string): string {
  const line = toOneLine(text);
  return isPlain(line) ? line : encodedWords(line);
}

/** An address with its name. The address must have been checked; the name may be anything. */
export function headerAddress({ email, name }: { email: string; name: string | null }): string {
  const line = name === null ? '' : toOneLine(name);
  if (line.trim() === '') {
    return email;
  }
  const phrase = isPlain(line) ? `"${line.replace(/[\\"]/g, '\\$&')}"` : encodedWords(line);
  return `${phrase}\r\n <${email}>`;
}

function toOneLine(text: string): string {
  return text.replace(controlCharacters, ' ');
}

function isPlain(line: string): boolean {
  return line.length <= longestPlainText && plainText.test(line);
}

function encodedWords(line: string): string {
  const words: string[] = [];
  let word = '';
  let bytes = 0;
  // By code point: a character that is cut in two by the end of a word is lost in many programs.
  for (const character of line) {
    const size = Buffer.byteLength(character);
    if (bytes + size > encodedWordBytes) {
      words.push(word);
      word = '';
      bytes = 0;
    }
    word += character;
    bytes += size;
  }
  words.push(word);
  return words.map((part) => `=?utf-8?B?${Buffer.from(part).toString('base64')}?=`).join('\r\n ');
}
