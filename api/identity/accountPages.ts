import { createHash } from 'node:crypto';
import { z } from 'zod';
import { AppError } from '../../domain/errors';
import { bytes } from '../bodies';
import type { ApiContext } from '../context';
import { rawAnswer, rawReply } from '../route';
import { acrossTenants } from '../../models/base';
import { findUserToken, type UserTokenPurpose } from '../../models/identity/userTokens';
import type { ApiDeps } from '../deps';
import { escapeHtml, htmlPage } from '../html';
import {
  accountTextsOf,
  allAccountTexts,
  type AccountTexts,
  type PasswordProblem,
} from './accountTexts';

const style = `
:root { color-scheme: light dark; }
body { margin: 0; min-height: 100vh; display: grid; place-items: center; font: 1rem/1.5 system-ui, sans-serif; }
main { box-sizing: border-box; width: 100%; max-width: 30rem; padding: 2rem 1.5rem; overflow-wrap: anywhere; }
h1 { font-size: 1.375rem; line-height: 1.3; }
label { display: block; margin: 1rem 0; font-weight: 600; }
input { box-sizing: border-box; width: 100%; min-height: 2.75rem; padding: 0.5rem 0.75rem; font: inherit; border: 1px solid GrayText; border-radius: 0.5rem; background: Canvas; color: CanvasText; }
small { display: block; font-size: 0.875rem; font-weight: 400; }
button { font: inherit; font-weight: 600; min-height: 2.75rem; padding: 0.75rem 1.5rem; border: 2px solid #1d4ed8; border-radius: 0.5rem; background: #1d4ed8; color: #fff; cursor: pointer; }
:focus-visible { outline: 3px solid #f59e0b; outline-offset: 3px; }
[role=alert] { border: 2px solid #b91c1c; border-radius: 0.5rem; padding: 0.75rem 1rem; }
`;

/**
 * Nothing is loaded or run, the form may only come back here, and the address, which holds a token, is
 * told to nobody and kept by nobody.
 */
export const accountPageHeaders = {
  'Content-Security-Policy': [
    "default-src 'none'",
    `style-src 'sha256-${createHash('sha256').update(style).digest('base64')}'`,
    "form-action 'self'",
    "base-uri 'none'",
    "frame-ancestors 'none'",
  ].join('; '),
  'Cache-Control': 'no-store',
  'Referrer-Policy': 'no-referrer',
  'X-Robots-Tag': 'noindex, nofollow',
} as const;

/** What the declarations of these pages have in common. */
export const accountPageAnswer = rawAnswer('text/html; charset=utf-8');

/** The query of a page that a mail leads to; whatever else a mail program adds is let be. */
export const AccountPageQuery = z.looseObject({ token: z.string().max(200).default('') });

/** The form that such a page sends back. */
export const accountForm = bytes({
  types: ['application/x-www-form-urlencoded'],
  limitBytes: 4 * 1024,
});

/** A field of such a form; empty when it is not there or far too long. */
export function formValue(form: Buffer, name: string): string {
  const value = new URLSearchParams(form.toString('utf8')).get(name) ?? '';
  return value.length > 1_024 || /[\p{Cc}\p{Surrogate}]/u.test(value) ? '' : value;
}

interface Field {
  name: 'password' | 'firstName' | 'lastName';
  /** Of a password: the account's own, which a browser may fill in. */
  isCurrent?: boolean;
  label: string;
  hint?: string;
}

/** A page with one form, which holds the token and comes back to the same address. */
export function formPage(
  texts: AccountTexts,
  form: {
    title: string;
    line: string;
    button: string;
    token: string;
    fields: readonly Field[];
    problem?: string | null;
  },
): string {
  const problem = form.problem == null ? '' : `<p role="alert">${escapeHtml(form.problem)}</p>`;
  return page(
    texts,
    form.title,
    `<h1>${escapeHtml(form.title)}</h1>
    ${problem}
    <p>${escapeHtml(form.line)}</p>
    <form method="post">
      <input type="hidden" name="token" value="${escapeHtml(form.token)}">
      ${form.fields.map(fieldOf).join('\n      ')}
      <p><button type="submit">${escapeHtml(form.button)}</button></p>
    </form>`,
  );
}

/** The page that a mailed link leads to: its form, or that it is over. Looking at it changes nothing. */
export async function linkPage(
  {
    deps,
    query,
    context,
  }: { deps: Pick<ApiDeps, 'db'>; query: { token: string }; context: ApiContext },
  purpose: UserTokenPurpose,
  formOf: (texts: AccountTexts) => Omit<Parameters<typeof formPage>[1], 'token'>,
) {
  const { token } = query;
  const userId = await acrossTenants(deps.db, 'identity', (trx) =>
    findUserToken(trx, token, purpose),
  );
  if (userId === null) {
    return overPage(context);
  }
  const texts = accountTextsFor(context);
  return rawReply(200, formPage(texts, { ...formOf(texts), token }), accountPageHeaders);
}

/** A page that only says something. */
export function notePage(texts: AccountTexts, title: string, line: string): string {
  return page(texts, title, `<h1>${escapeHtml(title)}</h1>\n    <p>${escapeHtml(line)}</p>`);
}

/** The page in place of what a link led to that is over; the same for one that was made up. */
export function overPage(context: ApiContext) {
  const texts = accountTextsFor(context);
  return rawReply(404, notePage(texts, texts.over, texts.overLine), accountPageHeaders);
}

/** The field of a new password, with what makes a good one. */
export function passwordField(texts: AccountTexts): Field {
  return { name: 'password', label: texts.newPassword, hint: texts.passwordHint };
}

/** The field of the password that an account has. */
export function currentPasswordField(texts: AccountTexts): Field {
  return { name: 'password', label: texts.password, isCurrent: true };
}

/** The fields of a person's names, which may stay empty. */
export function nameFields(texts: AccountTexts): Field[] {
  return [
    { name: 'firstName', label: texts.firstName },
    { name: 'lastName', label: texts.lastName },
  ];
}

/** The texts in the language the browser asks for. */
export function accountTextsFor(context: ApiContext): AccountTexts {
  const language = context.acceptsLanguages(allAccountTexts.map((texts) => texts.language));
  return accountTextsOf(language === false ? null : language);
}

/** Why a new password was refused, in words; null for another error. */
export function passwordProblemText(texts: AccountTexts, error: unknown): string | null {
  const code = error instanceof AppError ? error.problems[0]?.code : undefined;
  return code !== undefined && isPasswordProblem(texts, code) ? texts.problems[code] : null;
}

function isPasswordProblem(texts: AccountTexts, code: string): code is PasswordProblem {
  return Object.hasOwn(texts.problems, code);
}

const inputs: Readonly<Record<Field['name'], string>> = {
  password: 'type="password" autocomplete="new-password" required maxlength="1024"',
  firstName: 'type="text" autocomplete="given-name" maxlength="100"',
  lastName: 'type="text" autocomplete="family-name" maxlength="100"',
};

function fieldOf({ name, label, hint, isCurrent = false }: Field): string {
  const input = isCurrent ? inputs[name].replace('new-password', 'current-password') : inputs[name];
  const hintText = hint === undefined ? '' : `<small>${escapeHtml(hint)}</small>`;
  return `<label>${escapeHtml(label)}${hintText}<input name="${name}" ${input}></label>`;
}

function page({ language }: AccountTexts, title: string, main: string): string {
  return htmlPage({ language, title, style, main });
}
