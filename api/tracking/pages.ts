import { createHash } from 'node:crypto';

const style = `
:root { color-scheme: light dark; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 1rem/1.5 system-ui, sans-serif; }
main { max-width: 30rem; padding: 2rem 1.5rem; text-align: center; }
h1 { font-size: 1.375rem; line-height: 1.3; overflow-wrap: anywhere; }
button { font: inherit; font-weight: 600; padding: 0.75rem 1.5rem; border: 0; border-radius: 0.5rem; background: #1d4ed8; color: #fff; cursor: pointer; }
button:focus-visible { outline: 3px solid #f59e0b; outline-offset: 3px; }
`;

// Nothing is loaded or run, only this style is applied, and the form may only come back here.
const policy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** What goes with every page: its policy, and that nobody may keep or index it. */
export const pageHeaders = {
  'Content-Security-Policy': policy,
  'Cache-Control': 'no-store',
  'X-Robots-Tag': 'noindex, nofollow',
} as const;

/** Asks a person to confirm; only the button acts, because scanners follow every link of a mail. */
export function confirmPage(tenantName: string): string {
  return page(
    'Unsubscribe',
    `<h1>Unsubscribe from ${escapeHtml(tenantName)}?</h1>
    <p>They will send you no more emails.</p>
    <form method="post"><button type="submit">Unsubscribe</button></form>`,
  );
}

export function unsubscribedPage(): string {
  return page(
    'Unsubscribed',
    `<h1>You are unsubscribed</h1>
    <p>No more emails will be sent to you from there. You can close this page.</p>`,
  );
}

/** Promises no more than holds: a removed address can be imported again, and nobody would know. */
export function addressUnknownPage(): string {
  return page(
    'Not known any more',
    `<h1>Your address is not known here any more</h1>
    <p>It was removed from their list, so nothing is sent to it. Should you get mail from them again, please unsubscribe in that mail.</p>`,
  );
}

export function unknownPage(): string {
  return page(
    'Not found',
    `<h1>This address leads nowhere</h1>
    <p>It may have been cut off. Please try the link in the email again.</p>`,
  );
}

export function laterPage(): string {
  return page(
    'One moment',
    `<h1>Please try again in a moment</h1>
    <p>We cannot answer right now. Nothing is lost: open the link again.</p>`,
  );
}

function page(title: string, main: string): string {
  return `<!doctype html>
<html lang="en">
  <head>
    <meta charset="utf-8">
    <meta name="viewport" content="width=device-width, initial-scale=1">
    <title>${title}</title>
    <style>${style}</style>
  </head>
  <body>
    <main>
    ${main}
    </main>
  </body>
</html>
`;
}

const entities: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => entities[character] ?? '');
}
