import type { FaultPlan } from '../faults';
import { html, Markup } from './markup';
import { messageView, type OpenMessage } from './messageView';
import type { MessageQuery, MessageSummary } from './messages';

export interface PageFacts {
  query: MessageQuery;
  total: number;
  items: MessageSummary[];
  /** All messages, found or not. */
  messages: number;
  calls: number;
  duplicates: number;
  /** Groups of events that wait for the webhook; null when there is none. */
  pendingEvents: number | null;
  faults: FaultPlan;
  sink: boolean;
  open: OpenMessage | null;
}

/** The inbox: the list, and beside it the message that is open. */
export function inboxPage(facts: PageFacts): string {
  const { open } = facts;
  const title = open ? `${open.content.subject} · Inbox` : 'Inbox · Carillon sandbox';
  return html`<!doctype html>
    <html lang="en">
      <head>
        <meta charset="utf-8" />
        <meta name="viewport" content="width=device-width, initial-scale=1" />
        <meta name="color-scheme" content="light dark" />
        <title>${title}</title>
        <link rel="icon" href="/assets/icon.svg" type="image/svg+xml" />
        <link rel="stylesheet" href="/assets/inbox.css" />
        <script src="/assets/inbox.js" defer></script>
      </head>
      <body class="${open ? 'reading' : 'browsing'}" data-messages="${facts.messages}">
        <a class="skip" href="#${open ? 'message' : 'list'}"
          >Skip to the ${open ? 'message' : 'list'}</a
        >
        ${topBar(facts)} ${notices(facts)}
        <div class="panes">
          <nav class="list" id="list" aria-label="Messages">
            ${listHead(facts)} ${facts.items.length > 0 ? messageList(facts) : emptyList(facts)}
            ${pager(facts)}
          </nav>
          <main class="message" id="message" tabindex="-1">
            ${open ? messageView(open, backLink(facts)) : nothingOpen(facts)}
          </main>
        </div>
      </body>
    </html>`.text;
}

/** The address of the list, or of a message in it, keeping what was searched for. */
export function hrefFor(
  query: MessageQuery,
  changes: { id?: string; page?: number; view?: string } = {},
): string {
  const parameters = new URLSearchParams();
  for (const key of ['search', 'to', 'subject', 'run'] as const) {
    const value = query[key];
    if (value) {
      parameters.set(key, value);
    }
  }
  const page = changes.page ?? query.page;
  if (page > 1) {
    parameters.set('page', String(page));
  }
  if (changes.view) {
    parameters.set('view', changes.view);
  }
  const path = changes.id ? `/messages/${encodeURIComponent(changes.id)}` : '/';
  const text = parameters.toString();
  return text ? `${path}?${text}` : path;
}

function topBar(facts: PageFacts): Markup {
  const { query } = facts;
  return html`<header class="bar">
    <a class="brand" href="/"
      >${bell()}<span>Carillon <em>sandbox inbox</em></span></a
    >
    <form class="search" role="search" action="/" method="get">
      <label class="hidden" for="search">Search address or subject</label>
      <input
        id="search"
        type="search"
        name="search"
        value="${query.search ?? ''}"
        placeholder="Search address or subject"
        autocomplete="off"
        spellcheck="false"
      />
      ${query.run ? html`<input type="hidden" name="run" value="${query.run}" />` : null}
      <button type="submit">Search</button>
    </form>
    <dl class="figures">
      ${figure('messages', facts.messages)} ${figure('calls', facts.calls)}
      ${figure('duplicates', facts.duplicates, facts.duplicates > 0)}
      ${facts.pendingEvents === null ? null : figure('event posts waiting', facts.pendingEvents)}
    </dl>
  </header>`;
}

function figure(name: string, value: number, alarming = false): Markup {
  return html`<div${new Markup(alarming ? ' class="alarm"' : '')}><dt>${name}</dt><dd>${value.toLocaleString('en')}</dd></div>`;
}

function notices(facts: PageFacts): Markup {
  const faults = Object.keys(facts.faults);
  return html`${
    facts.sink
      ? html`<p class="notice" role="status">Sink mode: mail is counted and thrown away.</p>`
      : null
  }${
    faults.length > 0
      ? html`<p class="notice warn" role="status">
          Faults are on: ${JSON.stringify(facts.faults)}
        </p>`
      : null
  }`;
}

function listHead({ query, total }: PageFacts): Markup {
  const filters = [query.search, query.to, query.subject, query.run].filter(Boolean);
  return html`<div class="list-head">
    <h1>${filters.length > 0 ? html`${total.toLocaleString('en')} found` : 'All messages'}</h1>
    ${filters.length > 0 ? html`<a href="/">Clear search</a>` : html`<button id="empty" type="button" hidden>Empty the inbox</button>`}
    <a id="fresh" class="fresh" href="${hrefFor(query, { page: 1 })}" hidden></a>
  </div>`;
}

function messageList({ items, query, open }: PageFacts): Markup {
  return html`<ol>
    ${items.map((item) => {
      const current = item.id === open?.id;
      return html`<li>
        <a
          href="${hrefFor(query, { id: item.id })}"
          ${new Markup(current ? ' aria-current="true"' : '')}
        >
          <span class="who">${item.toName ?? item.to}</span>
          <time datetime="${item.receivedAt}">${shortTime(item.receivedAt)}</time>
          <span class="what">${item.subject}</span>
          <span class="where">${item.toName ? item.to : (item.fromName ?? item.from)}</span>
          ${item.outcome === 'delivered' ? null : html`<span class="badge ${item.outcome}">${item.outcome}</span>`}
        </a>
      </li>`;
    })}
  </ol>`;
}

function emptyList({ messages }: PageFacts): Markup {
  return messages === 0
    ? html`<p class="empty">
        No mail yet. What is sent through <code>POST /v3/mail/send</code> appears here.
      </p>`
    : html`<p class="empty">Nothing matches this search.</p>`;
}

function pager({ query, total }: PageFacts): Markup | null {
  const pages = Math.ceil(total / query.perPage);
  if (pages < 2) {
    return null;
  }
  const step = (page: number, rel: string, name: string) =>
    page >= 1 && page <= pages
      ? html`<a rel="${rel}" href="${hrefFor(query, { page })}">${name}</a>`
      : html`<span aria-disabled="true">${name}</span>`;
  return html`<div class="pager">
    ${step(query.page - 1, 'prev', '← Newer')}
    <span>Page ${query.page.toLocaleString('en')} of ${pages.toLocaleString('en')}</span>
    ${step(query.page + 1, 'next', 'Older →')}
  </div>`;
}

function backLink({ query }: PageFacts): Markup {
  return html`<a class="back" href="${hrefFor(query)}">← Back to the list</a>`;
}

function nothingOpen({ items }: PageFacts): Markup {
  return html`<div class="nothing">
    ${bell()}
    <p>
      ${items.length > 0 ? 'Choose a message to read it as its recipient would.' : 'All quiet.'}
    </p>
  </div>`;
}

function shortTime(iso: string): string {
  const at = new Date(iso);
  return `${at.toLocaleDateString('en', { month: 'short', day: 'numeric', timeZone: 'UTC' })} ${iso.slice(11, 16)}`;
}

function bell(): Markup {
  return html`<svg class="bell" viewBox="0 0 24 24" aria-hidden="true">
    <path
      d="M12 2.5a1.6 1.6 0 0 0-1.6 1.6v.5A6 6 0 0 0 6 10.4c0 4.4-1.3 5.9-2.3 7-.4.5-.1 1.3.6 1.3h15.4c.7 0 1-.8.6-1.3-1-1.1-2.3-2.6-2.3-7a6 6 0 0 0-4.4-5.8v-.5A1.6 1.6 0 0 0 12 2.5Zm-2.3 17.6a2.4 2.4 0 0 0 4.6 0Z"
    />
  </svg>`;
}
