import { Parser } from 'htmlparser2';
import { liquidRanges } from './source';

const BLOCKS = new Set(
  (
    'address article aside blockquote center dd div dl dt fieldset figcaption figure footer form ' +
    'h1 h2 h3 h4 h5 h6 header hr li main nav ol p pre section table tbody tfoot thead tr ul'
  ).split(' '),
);
const PARAGRAPHS = new Set('blockquote h1 h2 h3 h4 h5 h6 ol p pre table ul'.split(' '));
const HIDDEN = new Set('head noscript script style template title'.split(' '));

const OPENING_TAGS = new Set(['if', 'unless', 'case', 'for', 'tablerow', 'capture']);
const BRANCH_TAGS = new Set(['else', 'elsif', 'when']);
const PRINTING_TAGS = new Set(['echo', 'cycle', 'increment', 'decrement', 'liquid']);

// How many words and Liquid outputs a link's text may have to be compared with its target.
const MAX_TARGET_PIECES = 20;

// Private-use characters around a range's number stand for its Liquid while HTML is read.
const STAND_IN = /\uE000(\d+)\uE001/;

/**
 * A plain text template from an HTML template that parses: blocks become lines, links
 * "text (target)". Liquid tags stay in their order even where what surrounds them is dropped, so
 * that the result parses too.
 */
export function deriveText(source: string): string {
  const { marked, liquid } = standInForLiquid(source.replace(/[\uE000\uE001]/g, ''));
  const writer = new TextWriter();
  const targets: { target: string; textBegin: number }[] = [];
  let hiddenDepth = 0;

  const writeText = (text: string, write: (words: string) => void): void => {
    for (const [index, piece] of text.split(STAND_IN).entries()) {
      const range = index % 2 === 1 ? liquid[Number(piece)] : undefined;
      if (range === undefined) {
        write(piece);
      } else if (range.isTag) {
        writer.steer(range.code);
      } else if (hiddenDepth === 0) {
        writer.word(range.code);
      }
    }
  };
  const writeWords = (text: string): void => {
    writeText(text, (words) => {
      if (hiddenDepth === 0) {
        writer.words(words);
      }
    });
  };
  const steerOnly = (text: string): void => {
    for (const [, number] of text.matchAll(new RegExp(STAND_IN, 'g'))) {
      const range = liquid[Number(number)];
      if (range?.isTag) {
        writer.steer(range.code);
      }
    }
  };

  const parser = new Parser(
    {
      onopentag(name, attributes) {
        const shown = name === 'a' ? 'href' : name === 'img' ? 'alt' : '';
        for (const [attribute, value] of Object.entries(attributes)) {
          steerOnly(attribute === shown ? attribute : attribute + value);
        }
        hiddenDepth += HIDDEN.has(name) ? 1 : 0;
        if (name === 'br') {
          writer.newline();
        } else if (name === 'a') {
          targets.push({ target: attributes['href'] ?? '', textBegin: writer.length });
        } else if (name === 'img') {
          writeWords(attributes['alt'] ?? '');
        } else if (name === 'td' || name === 'th') {
          writer.words(' ');
        } else if (BLOCKS.has(name)) {
          writer.block(PARAGRAPHS.has(name) ? 2 : 1);
          writer.words(name === 'li' && hiddenDepth === 0 ? '- ' : '');
        }
      },
      ontext: writeWords,
      onclosetag(name) {
        hiddenDepth -= HIDDEN.has(name) ? 1 : 0;
        if (name === 'a') {
          const { target, textBegin } = targets.pop() ?? { target: '', textBegin: 0 };
          const isShown = /^\s*(https?:|\uE000)/i.test(target);
          // No target is longer; and links that are never closed must not be read over and over.
          const isShort = writer.length - textBegin <= MAX_TARGET_PIECES;
          const same = isShort && writer.since(textBegin).trim() === literal(target.trim());
          if (isShown && !same) {
            writeWords(` (${target.trim()})`);
          } else {
            steerOnly(target);
          }
        } else if (BLOCKS.has(name)) {
          writer.block(PARAGRAPHS.has(name) ? 2 : 1);
        }
      },
      oncomment: steerOnly,
    },
    { decodeEntities: true, lowerCaseTags: true },
  );
  parser.write(marked);
  parser.end();
  return writer.since(0).trimEnd();
}

function standInForLiquid(source: string): {
  marked: string;
  liquid: { code: string; isTag: boolean }[];
} {
  const liquid: { code: string; isTag: boolean }[] = [];
  let marked = '';
  let from = 0;
  for (const { begin, end, kind } of liquidRanges(source)) {
    marked += `${source.slice(from, begin)}\uE000${liquid.length}\uE001`;
    liquid.push({ code: source.slice(begin, end), isTag: kind === 'tag' });
    from = end;
  }
  return { marked: marked + source.slice(from), liquid };
}

const BRACE = '{{ "{" }}';

/** Text that stays text in a template: braces that entities or a dropped tag bring together. */
function literal(text: string): string {
  return text.replace(/\{(?=[{%])/g, BRACE);
}

/**
 * Collapses white space as a browser does, and keeps line breaks owed until something follows. What
 * is owed is written before a tag, because the branch the tag opens may not be the one that is
 * shown; how many line breaks precede a place is followed through the branches, so that a block
 * that is not shown leaves no gap.
 */
class TextWriter {
  private readonly pieces: string[] = [];
  private owedNewlines = 0;
  private owesSpace = false;
  /** Line breaks that precede whichever branch was taken; none are needed at the very start. */
  private precedingNewlines = Number.POSITIVE_INFINITY;
  private readonly branches: { before: number; shortest: number; hasElse: boolean }[] = [];

  /** How many pieces were written so far. */
  get length(): number {
    return this.pieces.length;
  }

  /** The text from the piece of this number on. */
  since(begin: number): string {
    return this.pieces.slice(begin).join('');
  }

  words(text: string): void {
    for (const [index, word] of text.split(/[ \t\r\n\f]+/).entries()) {
      this.owesSpace ||= index > 0;
      if (word !== '') {
        this.word(literal(word));
      }
    }
  }

  word(code: string): void {
    this.settle();
    this.push(code);
    this.precedingNewlines = 0;
  }

  newline(): void {
    this.owedNewlines += 1;
  }

  block(newlines: number): void {
    this.owedNewlines = Math.max(this.owedNewlines, newlines);
  }

  steer(code: string): void {
    this.settle();
    this.push(code);
    const name = /^\{%-?\s*(\w+)/.exec(code)?.[1] ?? '';
    const branch = this.branches.at(-1);
    if (OPENING_TAGS.has(name)) {
      this.branches.push({
        before: this.precedingNewlines,
        shortest: Number.POSITIVE_INFINITY,
        hasElse: false,
      });
    } else if (BRANCH_TAGS.has(name) && branch) {
      // What stands between `case` and its first `when` is no branch, and never shown.
      branch.shortest = Math.min(branch.shortest, this.precedingNewlines);
      branch.hasElse ||= name === 'else';
      this.precedingNewlines = branch.before;
    } else if (name.startsWith('end') && branch) {
      this.branches.pop();
      const shortest = Math.min(branch.shortest, this.precedingNewlines);
      this.precedingNewlines = branch.hasElse ? shortest : Math.min(shortest, branch.before);
    } else if (PRINTING_TAGS.has(name)) {
      this.precedingNewlines = 0;
    }
  }

  private push(piece: string): void {
    const last = this.pieces.length - 1;
    const before = this.pieces[last];
    if (before?.endsWith('{') && /^[{%]/.test(piece)) {
      this.pieces[last] = before.slice(0, -1) + BRACE;
    }
    this.pieces.push(piece);
  }

  private settle(): void {
    if (this.owedNewlines > 0) {
      const missing = Math.max(0, this.owedNewlines - this.precedingNewlines);
      this.pieces.push('\n'.repeat(missing));
      this.precedingNewlines += missing;
    } else if (this.owesSpace && this.precedingNewlines === 0) {
      this.pieces.push(' ');
    }
    this.owedNewlines = 0;
    this.owesSpace = false;
  }
}
