/** The look of the inbox; light or dark as the reader's system is. */
export const INBOX_CSS = `
:root {
  --ground: #f4f2ee; --sheet: #fffefc; --ink: #22201c; --quiet: #6b655b; --line: #e2ddd4;
  --accent: #8a5a12; --accent-soft: #f6ead4; --alarm: #a8261c; --alarm-soft: #fbe5e1;
  --good: #2c6a45; --good-soft: #e2f0e6; --focus: #1b62c4;
  --sans: system-ui, -apple-system, "Segoe UI", Roboto, "Helvetica Neue", sans-serif;
  --mono: ui-monospace, SFMono-Regular, Menlo, Consolas, monospace;
}
@media (prefers-color-scheme: dark) {
  :root {
    --ground: #171614; --sheet: #211f1c; --ink: #ece8e0; --quiet: #a49d91; --line: #37332d;
    --accent: #e3b466; --accent-soft: #3a2f1c; --alarm: #ff9085; --alarm-soft: #45211d;
    --good: #86cfa2; --good-soft: #1e3527; --focus: #86b6ff;
  }
}
* { box-sizing: border-box; }
html, body { height: 100%; }
body { margin: 0; background: var(--ground); color: var(--ink); font: 15px/1.5 var(--sans); display: flex; flex-direction: column; }
a { color: var(--accent); }
:focus-visible { outline: 2px solid var(--focus); outline-offset: 2px; border-radius: 4px; }
.hidden, .skip:not(:focus) { position: absolute; width: 1px; height: 1px; overflow: hidden; clip-path: inset(50%); white-space: nowrap; }
.skip:focus { position: absolute; z-index: 2; left: 8px; top: 8px; background: var(--sheet); padding: 8px 12px; border-radius: 6px; }

.bar { display: flex; flex-wrap: wrap; align-items: center; gap: 10px 24px; padding: 10px 20px; background: var(--sheet); border-bottom: 1px solid var(--line); }
.brand { display: flex; align-items: center; gap: 10px; font-weight: 650; font-size: 17px; color: var(--ink); text-decoration: none; letter-spacing: -.01em; }
.brand em { font-style: normal; font-weight: 400; color: var(--quiet); }
.bell { width: 24px; height: 24px; fill: var(--accent); flex: none; }
.search { flex: 1 1 260px; display: flex; gap: 8px; max-width: 620px; }
.search input[type=search] { flex: 1; min-width: 0; font: inherit; color: inherit; padding: 7px 14px; border: 1px solid var(--line); border-radius: 999px; background: var(--ground); }
button { font: inherit; color: var(--accent); background: none; border: 1px solid var(--line); border-radius: 999px; padding: 6px 14px; cursor: pointer; }
button:hover { background: var(--accent-soft); }
.figures { display: flex; gap: 20px; margin: 0 0 0 auto; }
.figures div { display: flex; flex-direction: column-reverse; align-items: flex-end; line-height: 1.2; }
.figures dt { font-size: 12px; color: var(--quiet); white-space: nowrap; }
.figures dd { margin: 0; font-weight: 600; font-variant-numeric: tabular-nums; }
.figures .alarm dd { color: var(--alarm); }
.notice { margin: 0; padding: 8px 20px; background: var(--accent-soft); border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
.notice.warn { background: var(--alarm-soft); color: var(--alarm); }

.panes { flex: 1; min-height: 0; display: grid; grid-template-columns: minmax(300px, 400px) minmax(0, 1fr); }
.list { overflow-y: auto; border-right: 1px solid var(--line); display: flex; flex-direction: column; }
.list-head { position: sticky; top: 0; z-index: 1; display: flex; flex-wrap: wrap; align-items: center; justify-content: space-between; gap: 8px; padding: 10px 20px; min-height: 54px; background: var(--ground); border-bottom: 1px solid var(--line); }
.list-head h1 { font-size: 15px; margin: 0; }
.list-head button { font-size: 13px; padding: 3px 12px; }
.fresh { flex-basis: 100%; text-align: center; font-size: 14px; font-weight: 600; background: var(--accent-soft); border-radius: 999px; padding: 3px 12px; text-decoration: none; }
.fresh[hidden], [hidden] { display: none; }
.list ol { list-style: none; margin: 0; padding: 0; }
.list li a { display: grid; grid-template-columns: minmax(0, 1fr) auto; gap: 1px 12px; padding: 11px 20px 12px; color: inherit; text-decoration: none; border-bottom: 1px solid var(--line); }
.list li a:hover { background: var(--sheet); }
.list li a:focus-visible { outline-offset: -3px; }
.list li a[aria-current] { background: var(--sheet); box-shadow: inset 3px 0 var(--accent); }
.who { font-weight: 600; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.list time { color: var(--quiet); font-size: 13px; font-variant-numeric: tabular-nums; align-self: center; }
.what { grid-column: 1 / -1; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.where { color: var(--quiet); font-size: 13px; overflow: hidden; text-overflow: ellipsis; white-space: nowrap; }
.badge { justify-self: end; align-self: center; font-size: 12px; line-height: 1.5; padding: 0 8px; border-radius: 999px; background: var(--alarm-soft); color: var(--alarm); }
.badge.delivered { background: var(--good-soft); color: var(--good); }
.tag { font-size: 12px; padding: 0 8px; border: 1px solid var(--line); border-radius: 999px; color: var(--quiet); }
.pager { display: flex; justify-content: space-between; align-items: center; gap: 8px; padding: 12px 20px; font-size: 14px; margin-top: auto; }
.pager span { color: var(--quiet); }
.pager [aria-disabled] { opacity: .45; }
.empty { padding: 32px 20px; color: var(--quiet); text-align: center; }

.message { overflow-y: auto; background: var(--sheet); padding: 24px 32px 40px; }
.message:focus { outline: none; }
.message article { max-width: 940px; margin: 0 auto; }
.message h2 { font-size: 23px; line-height: 1.3; letter-spacing: -.015em; margin: 0 0 14px; overflow-wrap: anywhere; text-wrap: balance; }
.message h3 { font-size: 15px; margin: 24px 0 8px; }
.back { display: none; margin-bottom: 12px; }
.envelope { margin: 0; display: grid; gap: 3px; }
.envelope div { display: grid; grid-template-columns: 92px minmax(0, 1fr); }
.envelope dt { color: var(--quiet); }
.envelope dd { margin: 0; overflow-wrap: anywhere; }
.address small, .attachments small { color: var(--quiet); font-size: inherit; }
.address + .address::before { content: ", "; }
.views { display: flex; flex-wrap: wrap; gap: 2px; margin: 20px 0 16px; border-bottom: 1px solid var(--line); }
.views a { padding: 7px 14px; color: var(--quiet); text-decoration: none; border-bottom: 2px solid transparent; margin-bottom: -1px; border-radius: 6px 6px 0 0; }
.views a:hover { color: var(--ink); background: var(--ground); }
.views a[aria-current=page] { color: var(--ink); font-weight: 600; border-bottom-color: var(--accent); }
.views small { font-weight: 400; color: var(--quiet); }
.mail { display: block; width: 100%; height: max(420px, calc(100vh - 370px)); border: 1px solid var(--line); border-radius: 10px; background: #fff; }
pre { margin: 0; padding: 18px 20px; background: var(--ground); border: 1px solid var(--line); border-radius: 10px; white-space: pre-wrap; overflow-wrap: anywhere; font: 13.5px/1.6 var(--mono); }
pre.text { font: inherit; }
code { font: .92em var(--mono); }
.hint { color: var(--quiet); }
.links { padding-left: 22px; display: grid; gap: 12px; }
.links strong { display: block; font-weight: 600; }
.links a { overflow-wrap: anywhere; }
.pairs { width: 100%; border-collapse: collapse; table-layout: fixed; }
.pairs th { width: 34%; text-align: left; font-weight: 500; vertical-align: top; color: var(--quiet); }
.pairs th, .pairs td { padding: 7px 10px 7px 0; border-bottom: 1px solid var(--line); overflow-wrap: anywhere; }
.pairs td { font: 13.5px/1.6 var(--mono); }
.attachments { padding-left: 20px; }
.nothing { height: 100%; display: grid; place-content: center; justify-items: center; gap: 12px; color: var(--quiet); text-align: center; }
.nothing .bell { width: 48px; height: 48px; opacity: .35; }

@media (max-width: 860px) {
  body { height: auto; min-height: 100%; }
  .panes { display: block; }
  .list { border-right: 0; overflow: visible; }
  .browsing .message, .reading .list { display: none; }
  .message { padding: 16px 16px 32px; min-height: 60vh; }
  .back { display: inline-block; }
  .bar { padding: 10px 16px; }
  .figures { width: 100%; justify-content: space-between; gap: 12px; }
  .figures div { align-items: flex-start; }
  .list-head, .list li a, .pager { padding-left: 16px; padding-right: 16px; }
  .mail { height: 70vh; }
}
@media print { .bar, .list, .views, .back { display: none; } .panes { display: block; } }
`;

/** New mail is announced, `j` and `k` walk the list, `/` goes to the search. The page works without. */
export const INBOX_JS = `
'use strict';
const known = Number(document.body.dataset.messages);
const fresh = document.getElementById('fresh');
const empty = document.getElementById('empty');

async function lookForMail() {
  if (document.hidden) return;
  try {
    const answer = await fetch('/api/stats');
    const { delivered, mode } = await answer.json();
    const count = mode === 'inbox' ? delivered - known : 0;
    fresh.hidden = count <= 0;
    fresh.textContent = count === 1 ? 'One new message' : count.toLocaleString('en') + ' new messages';
  } catch {
    // The sandbox is away; the next look will tell.
  }
}
setInterval(lookForMail, 3000);
document.addEventListener('visibilitychange', lookForMail);

if (empty && known > 0) {
  empty.hidden = false;
  empty.addEventListener('click', async () => {
    if (!confirm('Forget all messages, calls and events?')) return;
    await fetch('/api/messages', { method: 'DELETE' });
    location.href = '/';
  });
}

document.addEventListener('keydown', (event) => {
  if (event.ctrlKey || event.metaKey || event.altKey || /^(INPUT|TEXTAREA)$/.test(event.target.tagName)) return;
  if (event.key === '/') {
    event.preventDefault();
    document.getElementById('search').focus();
  }
  if (event.key === 'j' || event.key === 'k') {
    const links = [...document.querySelectorAll('.list li a')];
    const current = links.findIndex((link) => link.hasAttribute('aria-current'));
    const next = current === -1 ? links[0] : links[current + (event.key === 'j' ? 1 : -1)];
    if (next) next.click();
  }
});

const current = document.querySelector('.list [aria-current]');
if (current) current.scrollIntoView({ block: 'nearest' });
`;

export const ICON_SVG = `<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 24 24"><path fill="#b37a22" d="M12 2.5a1.6 1.6 0 0 0-1.6 1.6v.5A6 6 0 0 0 6 10.4c0 4.4-1.3 5.9-2.3 7-.4.5-.1 1.3.6 1.3h15.4c.7 0 1-.8.6-1.3-1-1.1-2.3-2.6-2.3-7a6 6 0 0 0-4.4-5.8v-.5A1.6 1.6 0 0 0 12 2.5Zm-2.3 17.6a2.4 2.4 0 0 0 4.6 0Z"/></svg>`;
