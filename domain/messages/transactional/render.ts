import { Budget } from '../budget';
import { checkPart, mailRules } from '../checkContent';
import { toOneLine } from '../compileContent';
import { compileSms, compileWhatsApp } from '../compileText';
import { type Content, ContentError, type Recipient, RenderFailure } from '../content';
import { createContext, htmlEngine, plainEngine, renderNodes } from '../engine';
import { fieldProblemBesideData } from '../fields';
import { prepareParts } from '../prepareParts';
import type { ShownCustomer } from '../preview';
import type { WhatsAppContent } from '../whatsAppContent';

/** What the templates of a message may show. */
export interface ShownValues {
  customer: ShownCustomer;
  tenantName: string;
  data: Readonly<Record<string, unknown>>;
}

/**
 * Renders a mail that somebody asked for. Nothing is added to it: links lead straight to where they
 * point, because such a mail is no advertising and its links may open an account.
 *
 * @throws ContentError when the templates are wrong, RenderFailure when they do not fit the values
 */
export function renderTransactionalMail(
  content: Content,
  values: ShownValues,
  options: { at: Date },
): { subject: string; html: string; text: string } {
  const problems = [
    { source: content.subject, rules: mailRules.subject },
    { source: content.html, rules: mailRules.html },
    { source: content.text, rules: mailRules.text },
  ].flatMap(
    ({ source, rules }) =>
      checkPart(source, { ...rules, nameProblem: fieldProblemBesideData }) ?? [],
  );
  if (problems.length > 0) {
    throw new ContentError(problems);
  }
  const parts = prepareParts(content, {
    trackClicks: false,
    trackOpens: false,
    unsubscribeFooter: false,
  });
  const budget = new Budget();
  const show = (engine: typeof htmlEngine, source: string): string =>
    renderNodes(
      engine,
      engine.parse(source),
      createContext(engine, {
        recipient: recipientOf(values),
        shared: sharedOf(values),
        at: options.at,
        budget,
      }),
    );
  const subject = toOneLine(show(plainEngine, parts.subject));
  if (subject.trim() === '') {
    throw new RenderFailure('the subject is empty');
  }
  const html = show(htmlEngine, parts.html);
  if (html.trim() === '') {
    throw new RenderFailure('the HTML is empty');
  }
  const text = show(plainEngine, parts.text);
  return { subject, html, text: text.trim() === '' ? '' : text };
}

/** The same of a text message. */
export function renderTransactionalSms(
  body: string,
  values: ShownValues,
  options: { at: Date },
): string {
  return compileSms({ body }, sharedOf(values)).render(recipientOf(values), options).body;
}

/** The same of a WhatsApp message. */
export function renderTransactionalWhatsApp(
  content: WhatsAppContent,
  values: ShownValues,
  options: { at: Date },
): WhatsAppContent {
  return compileWhatsApp(content, sharedOf(values)).render(recipientOf(values), options);
}

/** Who a message is rendered for when its address is nobody's. */
export function stranger(address: { email: string } | { phone: string }): ShownCustomer {
  return {
    email: null,
    phone: null,
    ...address,
    firstName: null,
    lastName: null,
    language: null,
    timeZone: null,
    externalId: null,
    tags: [],
    attributes: {},
  };
}

function sharedOf({ tenantName, data }: ShownValues) {
  return { campaignName: '', tenantName, data };
}

// Nothing here may show an address of ours.
function recipientOf({ customer }: ShownValues): Recipient {
  return { ...customer, n: 0, links: { click: '', open: '', unsubscribe: '' } };
}
