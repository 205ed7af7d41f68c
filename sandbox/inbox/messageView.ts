import type { Address, MessageContent } from '../vendor';
import { html, type Markup } from './markup';

export const VIEWS = ['html', 'text', 'links', 'headers', 'raw'] as const;
export type View = (typeof VIEWS)[number];

const VIEW_NAMES: Record<View, string> = {
  html: 'Message',
  text: 'Plain text',
  links: 'Links',
  headers: 'Headers',
  raw: 'Request',
};

export interface OpenMessage {
  id: string;
  receivedAt: string;
  content: MessageContent;
  view: View;
  /** The address of this message shown another way. */
  hrefOf(view: View): string;
}

/** The message as a person would see it, and what they would not see. */
export function messageView(open: OpenMessage, back: Markup): Markup {
  const { content } = open;
  return html`${back}
    <article>
      <header>
        <h2>${content.subject}</h2>
        <dl class="envelope">
          <div>
            <dt>From</dt>
            <dd>${address(content.from)}</dd>
          </div>
          <div>
            <dt>To</dt>
            <dd>${address(content.recipient)}</dd>
          </div>
          ${
            content.cc.length > 0
              ? html`<div>
                  <dt>Copies</dt>
                  <dd>${content.cc.map(address)}</dd>
                </div>`
              : null
          }
          ${
            content.replyTo
              ? html`<div>
                  <dt>Answers to</dt>
                  <dd>${address(content.replyTo)}</dd>
                </div>`
              : null
          }
          <div>
            <dt>Received</dt>
            <dd><time datetime="${open.receivedAt}">${longTime(open.receivedAt)}</time></dd>
          </div>
          <div>
            <dt>Outcome</dt>
            <dd>
              <span class="badge ${content.outcome}">${content.outcome}</span
              >${content.categories.map((category) => html` <span class="tag">${category}</span>`)}
            </dd>
          </div>
        </dl>
      </header>
      <nav class="views" aria-label="Ways to look at this message">
        ${availableViews(content).map(
          (view) =>
            html`<a
              href="${open.hrefOf(view)}"
              aria-current="${view === open.view ? 'page' : 'false'}"
              >${VIEW_NAMES[view]}${view === 'links' ? html` <small>${content.links.length}</small>` : null}</a
            >`,
        )}
      </nav>
      ${body(open)}
    </article>`;
}

/** What can be shown: there may be no HTML or no text. */
export function availableViews(content: MessageContent): View[] {
  return VIEWS.filter(
    (view) =>
      !(view === 'html' && content.html === null) && !(view === 'text' && content.text === null),
  );
}

function body({ id, content, view }: OpenMessage): Markup {
  switch (view) {
    case 'html':
      return html`<iframe
          class="mail"
          title="The HTML message"
          src="/messages/${encodeURIComponent(id)}/html"
          sandbox="allow-popups allow-popups-to-escape-sandbox"
          referrerpolicy="no-referrer"
        ></iframe>
        ${attachments(content)}`;
    case 'text':
      return html`<pre class="text">${content.text ?? ''}</pre>
        ${attachments(content)}`;
    case 'links':
      return links(content);
    case 'headers':
      return html`<h3>Headers</h3>
        ${pairs(content.headers, 'This message sets no headers of its own.')}
        <h3>Custom arguments</h3>
        ${pairs(content.customArgs, 'This message carries no custom arguments.')}`;
    case 'raw':
      return html`<p class="hint">
          The request as it was received, with the envelope of this recipient only.
        </p>
        <pre class="raw">${JSON.stringify(content.raw, null, 2)}</pre>`;
  }
}

function links({ links: found }: MessageContent): Markup {
  return found.length === 0
    ? html`<p class="hint">There are no links in this message.</p>`
    : html`<ol class="links">
        ${found.map(
          ({ url, text }) =>
            html`<li>
              ${text ? html`<strong>${text}</strong>` : null}<a
                href="${safeHref(url)}"
                target="_blank"
                rel="noreferrer noopener"
                >${url}</a
              >
            </li>`,
        )}
      </ol>`;
}

function pairs(values: Record<string, string>, none: string): Markup {
  const entries = Object.entries(values);
  return entries.length === 0
    ? html`<p class="hint">${none}</p>`
    : html`<table class="pairs">
        <tbody>
          ${entries.map(
            ([name, value]) =>
              html`<tr>
                <th scope="row">${name}</th>
                <td>${value}</td>
              </tr>`,
          )}
        </tbody>
      </table>`;
}

function attachments(content: MessageContent): Markup | null {
  return content.attachments.length === 0
    ? null
    : html`<h3>Attachments</h3>
        <ul class="attachments">
          ${content.attachments.map(
            ({ filename, type, bytes }) =>
              html`<li>
                ${filename} <small>${type}, ${bytes.toLocaleString('en')} bytes</small>
              </li>`,
          )}
        </ul>`;
}

function address({ email, name }: Address): Markup {
  return name
    ? html`<span class="address">${name} <small>&lt;${email}&gt;</small></span>`
    : html`<span class="address">${email}</span>`;
}

// A mail may hold javascript: links; here they are text only.
function safeHref(url: string): string {
  return /^(https?:|mailto:|tel:)/i.test(url) ? url : '#';
}

function longTime(iso: string): string {
  const day = new Date(iso).toLocaleDateString('en', {
    weekday: 'long',
    day: 'numeric',
    month: 'long',
    year: 'numeric',
    timeZone: 'UTC',
  });
  return `${day}, ${iso.slice(11, 19)} UTC`;
}
