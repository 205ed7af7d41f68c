import { createHash } from 'node:crypto';
import type { PayloadReader } from '../../models/identity/codecSessions';
import { escapeHtml, htmlPage } from '../html';

const style = `
:root { color-scheme: light dark; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 1rem/1.5 system-ui, sans-serif; }
main { box-sizing: border-box; width: 100%; max-width: 26rem; padding: 2rem 1.5rem; overflow-wrap: anywhere; }
h1 { font-size: 1.375rem; line-height: 1.3; }
label { display: block; margin-top: 1rem; font-weight: 600; }
input { box-sizing: border-box; width: 100%; min-height: 2.75rem; padding: 0.5rem 0.75rem; font: inherit; }
small { display: block; font-size: 0.875rem; }
button { font: inherit; font-weight: 600; min-height: 2.75rem; margin-top: 1.5rem; padding: 0.5rem 1.5rem; border: 2px solid #1d4ed8; border-radius: 0.5rem; background: #1d4ed8; color: #fff; cursor: pointer; }
a { color: LinkText; }
:focus-visible { outline: 3px solid #f59e0b; outline-offset: 3px; }
[role=alert] { border: 2px solid #b91c1c; border-radius: 0.5rem; padding: 0.5rem 0.75rem; }
`;

// Nothing is loaded or run, only this style is applied, and forms go nowhere else.
const policy = [
  "default-src 'none'",
  `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
  "form-action 'self'",
  "base-uri 'none'",
  "frame-ancestors 'none'",
].join('; ');

/** What goes with every page. */
export const pageHeaders = {
  'Content-Type': 'text/html; charset=utf-8',
  'Content-Security-Policy': policy,
  'Cache-Control': 'no-store',
  // Without a referrer a browser would not say whose page sends the form.
  'Referrer-Policy': 'same-origin',
  'X-Robots-Tag': 'noindex, nofollow',
} as const;

/** Asks who it is. `problem` says why the last try did not do. */
export function loginPage({ formToken, problem }: { formToken: string; problem?: string }): string {
  return page(
    'Sign in to read workflows',
    `<h1>Sign in to read workflows</h1>
    <p>The Temporal UI then shows in clear what you may read.</p>
    ${problem === undefined ? '' : `<p role="alert">${escapeHtml(problem)}</p>`}
    <form method="post" action="/login">
      <input type="hidden" name="formToken" value="${escapeHtml(formToken)}">
      <label for="email">E-mail</label>
      <input id="email" name="email" type="email" autocomplete="username" required>
      <label for="password">Password</label>
      <input id="password" name="password" type="password" autocomplete="current-password" required>
      <label for="code">Code of your second factor <small>Leave it empty if you have none.</small></label>
      <input id="code" name="code" inputmode="numeric" autocomplete="one-time-code">
      <button type="submit">Sign in</button>
    </form>`,
  );
}

/** Says who is signed in, what they may read, and where the UI is. */
export function homePage(options: {
  reader: PayloadReader;
  formToken: string;
  uiUrl: string | undefined;
}): string {
  const { reader, formToken, uiUrl } = options;
  return page(
    'Signed in',
    `<h1>Signed in as ${escapeHtml(reader.email)}</h1>
    <p>${escapeHtml(readable(reader))}</p>
    ${uiUrl === undefined ? '' : `<p><a href="${escapeHtml(uiUrl)}">Open the Temporal UI</a></p>`}
    <form method="post" action="/logout">
      <input type="hidden" name="formToken" value="${escapeHtml(formToken)}">
      <button type="submit">Sign out</button>
    </form>`,
  );
}

function readable({ isPlatformAdmin, tenants }: PayloadReader): string {
  if (isPlatformAdmin) {
    return 'You may read the workflows of the platform and of all tenants. The audit log says what you read.';
  }
  if (tenants.length === 0) {
    return 'You may read no workflows: your role does not allow it in any tenant.';
  }
  const names = tenants.map(({ name }) => name).join(', ');
  return `You may read the workflows of ${names}. Those of others stay encrypted. The audit log says what you read.`;
}

function page(title: string, main: string): string {
  return htmlPage({ language: 'en', title, style, main });
}
