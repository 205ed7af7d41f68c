import { TypeGuards } from 'liquidjs';
import { type Content, ContentError } from './content';
import { htmlEngine, plainEngine } from './engine';
import { type HtmlScan, scanHtml } from './htmlScan';
import { type Edit, MAX_CODE_LENGTH, applyEdits, codeLength, liquidRanges } from './source';
import { deriveText } from './textPart';

/** The templates of a message, with all that is added to what the author wrote. */
export interface PreparedParts {
  subject: string;
  html: string;
  text: string;
  /** The targets of tracked links, by index. */
  links: string[];
}

/**
 * Adds tracking, preheader, text part and unsubscribe line to content that was checked.
 *
 * @throws ContentError when the HTML is too broken to make a text part of
 */
export function prepareParts(
  content: Content,
  options: { trackClicks: boolean; trackOpens: boolean; unsubscribeFooter: boolean },
): PreparedParts {
  const given = content.text ?? '';
  const text = given.trim() === '' ? deriveCheckedText(content.html) : given;
  const scan = scanHtml(content.html);
  const { edits, links } = options.trackClicks ? trackLinks(scan) : { edits: [], links: [] };
  const isTopLevel = topLevelPlaces(content.html);
  if (content.preheader !== undefined && content.preheader.trim() !== '') {
    const begin = scan.bodyBegin !== null && isTopLevel(scan.bodyBegin) ? scan.bodyBegin : 0;
    edits.push(insert(begin, hiddenLine(content.preheader)));
  }
  const end =
    scan.bodyEnd !== null && isTopLevel(scan.bodyEnd) ? scan.bodyEnd : content.html.length;
  if (options.unsubscribeFooter && !offersUnsubscribe(content.html)) {
    edits.push(insert(end, HTML_FOOTER));
  }
  if (options.trackOpens) {
    edits.push(insert(end, PIXEL));
  }
  return {
    subject: content.subject,
    html: applyEdits(content.html, edits),
    text: options.unsubscribeFooter && !offersUnsubscribe(text) ? text + TEXT_FOOTER : text,
    links,
  };
}

const PIXEL = '<img src="{{ links.open }}" width="1" height="1" alt="">';
const HTML_FOOTER =
  '<p style="font-size:12px;text-align:center"><a href="{{ links.unsubscribe }}">Unsubscribe</a></p>';
const TEXT_FOOTER = '\n\nUnsubscribe: {{ links.unsubscribe }}\n';

function hiddenLine(preheader: string): string {
  return `<div style="display:none;max-height:0;overflow:hidden">${preheader}</div>`;
}

function deriveCheckedText(html: string): string {
  const text = deriveText(html);
  if (!isTemplate(text)) {
    const message = 'cannot be derived from this HTML: please write one';
    throw new ContentError([{ field: 'text', line: 1, column: 1, message }]);
  }
  return text;
}

/**
 * Liquid that begins inside of an HTML tag and ends outside of it, say, is lost with the tag; and
 * braces that were none of Liquid's have become Liquid, perhaps too much of it.
 */
function isTemplate(text: string): boolean {
  try {
    if (codeLength(liquidRanges(text)) > MAX_CODE_LENGTH) {
      return false;
    }
    plainEngine.parse(text);
    return true;
  } catch {
    return false;
  }
}

/**
 * Links within a Liquid branch are tracked too: the edit is made in the source. Equal targets share
 * an index. What Liquid makes, mailto:, tel: and anchors stay as they are.
 */
function trackLinks(scan: HtmlScan): { edits: Edit[]; links: string[] } {
  const edits: Edit[] = [];
  const indexes = new Map<string, number>();
  for (const { begin, end, quoted, url } of scan.hrefs) {
    if (url === null || !/^https?:\/\//i.test(url)) {
      continue;
    }
    const index = indexes.get(url) ?? indexes.size;
    indexes.set(url, index);
    const target = `{{ links.click }}/${index}`;
    edits.push({ begin, end, text: quoted ? target : `"${target}"` });
  }
  return { edits, links: [...indexes.keys()] };
}

/** Tells whether an offset lies in text that is shown whatever the recipient's values are. */
function topLevelPlaces(html: string): (offset: number) => boolean {
  const stretches = htmlEngine
    .parse(html)
    .map(({ token }) => token)
    .filter((token) => TypeGuards.isHTMLToken(token));
  return (offset) => stretches.some(({ begin, end }) => offset >= begin && offset <= end);
}

/** The check lets no other field of `links` pass, however it is written. */
function offersUnsubscribe(source: string): boolean {
  return liquidRanges(source).some(
    ({ kind, begin, end }) =>
      kind !== 'verbatim' && /\blinks\s*[.[]/.test(source.slice(begin, end)),
  );
}

function insert(at: number, text: string): Edit {
  return { begin: at, end: at, text };
}
