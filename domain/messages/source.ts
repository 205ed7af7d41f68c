import { Tokenizer as LiquidTokenizer, TypeGuards } from 'liquidjs';

// A private-use character: HTML gives it no meaning anywhere.
const FILLER = '\uE000';

/** How many characters of a part may be Liquid: checking it costs more than reading text. */
export const MAX_CODE_LENGTH = 50_000;

/** A stretch of a template that is Liquid and not text. Offsets are into the source. */
export interface LiquidRange {
  kind: 'output' | 'tag' | 'verbatim';
  begin: number;
  end: number;
}

/**
 * The Liquid of a template that parses, in order. A `raw` or `comment` block is one range of kind
 * `verbatim`: nothing inside it is rendered as Liquid.
 */
export function liquidRanges(source: string): LiquidRange[] {
  const ranges: LiquidRange[] = [];
  let verbatim: { name: string; begin: number } | null = null;
  for (const token of new LiquidTokenizer(source).readTopLevelTokens()) {
    const { begin, end } = token;
    if (verbatim) {
      if (TypeGuards.isTagToken(token) && token.name === `end${verbatim.name}`) {
        ranges.push({ kind: 'verbatim', begin: verbatim.begin, end });
        verbatim = null;
      }
    } else if (TypeGuards.isTagToken(token)) {
      if (token.name === 'raw' || token.name === 'comment') {
        verbatim = { name: token.name, begin };
      } else {
        ranges.push({ kind: 'tag', begin, end });
      }
    } else if (TypeGuards.isOutputToken(token)) {
      ranges.push({ kind: 'output', begin, end });
    }
  }
  return ranges;
}

/** How many characters the ranges have together. */
export function codeLength(ranges: LiquidRange[]): number {
  return ranges.reduce((sum, { begin, end }) => sum + end - begin, 0);
}

/** The source with its Liquid blotted out character by character, so that offsets stay. */
export function maskLiquid(source: string, ranges: LiquidRange[]): string {
  let masked = '';
  let from = 0;
  for (const { begin, end } of ranges) {
    masked += source.slice(from, begin) + FILLER.repeat(end - begin);
    from = end;
  }
  return masked + source.slice(from);
}

/** Whether masked text held Liquid. */
export function hadLiquid(masked: string): boolean {
  return masked.includes(FILLER);
}

/** One replacement in a source; `begin` equal to `end` inserts. */
export interface Edit {
  begin: number;
  end: number;
  text: string;
}

/** Applies edits that do not overlap; those at one place stay in the order given. */
export function applyEdits(source: string, edits: Edit[]): string {
  let result = '';
  let from = 0;
  for (const { begin, end, text } of edits.toSorted((a, b) => a.begin - b.begin)) {
    result += source.slice(from, begin) + text;
    from = end;
  }
  return result + source.slice(from);
}
