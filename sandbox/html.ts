import { Parser } from 'htmlparser2';
import type { Link } from './vendor';

export interface HtmlImage {
  src: string;
  width: string | null;
  height: string | null;
}

/** The links and images of an HTML mail, in order, attributes decoded. */
export function readHtml(html: string): { links: Link[]; images: HtmlImage[] } {
  const links: Link[] = [];
  const images: HtmlImage[] = [];
  let open: Link | null = null;
  const parser = new Parser({
    onopentag(name, { href, src, alt, width, height }) {
      if ((name === 'a' || name === 'area') && href) {
        open = { url: href, text: '' };
        links.push(open);
      }
      if (name === 'img' && src) {
        images.push({ src, width: width ?? null, height: height ?? null });
        if (open) {
          open.text += alt ?? '';
        }
      }
    },
    ontext(text) {
      if (open) {
        open.text += text;
      }
    },
    onclosetag(name) {
      if (name === 'a') {
        open = null;
      }
    },
  });
  parser.end(html);
  return {
    links: links.map(({ url, text }) => ({ url, text: text.replace(/\s+/g, ' ').trim() })),
    images,
  };
}

/** Links of a plain text, without the punctuation that follows them. */
export function readTextLinks(text: string): Link[] {
  const urls = text.match(/https?:\/\/[^\s<>"')\]]+/g) ?? [];
  return urls.map((url) => ({ url: url.replace(/[.,;:!?]+$/, ''), text: '' }));
}
