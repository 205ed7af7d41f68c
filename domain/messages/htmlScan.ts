import { QuoteType, Tokenizer } from 'htmlparser2';
import { hadLiquid, liquidRanges, maskLiquid } from './source';

/** A link's target as it stands in a source: an attribute's value without its quotes. */
export interface HrefRange {
  begin: number;
  end: number;
  quoted: boolean;
  /** The target with entities decoded, or null when Liquid makes it. */
  url: string | null;
}

/** Where things are in an HTML template. Offsets are into the source. */
export interface HtmlScan {
  /** The targets of `a` and `area`, in order. */
  hrefs: HrefRange[];
  /** Right after the tag that opens the body (else the one that closes the head). */
  bodyBegin: number | null;
  /** Right before the last tag that closes the body. */
  bodyEnd: number | null;
}

/** Reads an HTML template's tags; Liquid may stand anywhere between and inside them. */
export function scanHtml(source: string): HtmlScan {
  const masked = maskLiquid(source, liquidRanges(source));
  const scan: HtmlScan = { hrefs: [], bodyBegin: null, bodyEnd: null };
  let headEnd: number | null = null;
  let tag = '';
  let isHref = false;
  let valueBegin = 0;
  let value = '';
  const tokenizer = new Tokenizer(
    { decodeEntities: true },
    {
      onopentagname(start, end) {
        tag = masked.slice(start, end).toLowerCase();
      },
      onattribname(start, end) {
        isHref =
          (tag === 'a' || tag === 'area') && masked.slice(start, end).toLowerCase() === 'href';
        valueBegin = end + (/^\s*=\s*["']?/.exec(masked.slice(end, end + 200))?.[0].length ?? 0);
        value = '';
      },
      onattribdata(start, end) {
        value += masked.slice(start, end);
      },
      onattribentity(codepoint) {
        value += String.fromCodePoint(codepoint);
      },
      onattribend(quote, end) {
        if (isHref && quote !== QuoteType.NoValue) {
          const quoted = quote !== QuoteType.Unquoted;
          scan.hrefs.push({
            begin: valueBegin,
            // A quoted value's end is reported after its quote.
            end: quoted ? end - 1 : end,
            quoted,
            url: hadLiquid(value) ? null : value.trim(),
          });
        }
      },
      onopentagend(end) {
        if (tag === 'body' && scan.bodyBegin === null) {
          scan.bodyBegin = end + 1;
        }
      },
      onclosetag(start, end) {
        const name = masked.slice(start, end).toLowerCase();
        if (name === 'body') {
          scan.bodyEnd = masked.lastIndexOf('<', start);
        } else if (name === 'head') {
          headEnd = masked.indexOf('>', end) + 1;
        }
      },
      onselfclosingtag() {},
      ontext() {},
      ontextentity() {},
      oncomment() {},
      oncdata() {},
      ondeclaration() {},
      onprocessinginstruction() {},
      onend() {},
    },
  );
  tokenizer.write(masked);
  tokenizer.end();
  scan.bodyBegin ??= headEnd;
  return scan;
}
