import { Budget, MAX_UNITS, TOO_MUCH_WORK } from './budget';
import { checkPart } from './checkContent';
import { type CompiledPart, compilePart } from './compileContent';
import { ContentError, type ContentProblem, type Recipient, RenderFailure } from './content';
import { type SharedValues, createContext, plainEngine, renderNodes } from './engine';
import { fieldProblem, fieldProblemBesideData, printField } from './fields';
import { type CustomerField, fieldsOfParts } from './neededFields';
import { type RenderedSms, type SmsContent, maxSmsLength } from './smsContent';
import { type WhatsAppContent, maxWhatsAppLengths } from './whatsAppContent';

/** A message of plain texts, ready to be rendered for any number of recipients. */
export interface CompiledText<Rendered> {
  /** What of a customer it reads. */
  fields: ReadonlySet<CustomerField>;
  /**
   * One recipient's message: the same in a preview, a test and a delivery. `at` is what "now" means
   * to date filters.
   *
   * @throws RenderFailure when this recipient's values make no message that can be sent
   */
  render(recipient: Recipient, options: { at: Date }): Rendered;
}

/**
 * Checks a text message and makes it fast to render.
 *
 * @throws ContentError
 */
export function compileSms(content: SmsContent, shared: SharedValues): CompiledText<RenderedSms> {
  return compiled(partsOfSms(content), shared, (show) => ({ body: show('body') }));
}

/**
 * The same for a WhatsApp message.
 *
 * @throws ContentError
 */
export function compileWhatsApp(
  content: WhatsAppContent,
  shared: SharedValues,
): CompiledText<WhatsAppContent> {
  const parts = partsOfWhatsApp(content);
  switch (content.kind) {
    case 'text':
      return compiled(parts, shared, (show) => ({ kind: 'text', body: show('body') }));
    case 'media':
      return compiled(parts, shared, (show) => ({
        kind: 'media',
        url: content.url,
        caption: content.caption === null ? null : show('caption') || null,
      }));
    case 'template': {
      const names = Object.keys(content.variables);
      return compiled(parts, shared, (show) => ({
        kind: 'template',
        id: content.id,
        language: content.language,
        variables: Object.fromEntries(names.map((name) => [name, show(`variables.${name}`)])),
      }));
    }
  }
}

/** What is wrong with a text message; nothing when it can be sent. */
export function checkSms(content: SmsContent): ContentProblem[] {
  return problemsOf(partsOfSms(content));
}

/** What is wrong with each part of a WhatsApp message; a variable is `variables.NAME`. */
export function checkWhatsApp(content: WhatsAppContent): ContentProblem[] {
  return problemsOf(partsOfWhatsApp(content));
}

/** One text of a message, as its author wrote it. */
interface TextPart {
  field: string;
  source: string;
  /** Of what is rendered, in UTF-16 units as vendors count. */
  maxLength: number;
  form: TextForm;
}

/** `lines` may have line breaks; `line` must have none; `optional` may have no text at all. */
type TextForm = 'lines' | 'line' | 'optional';

// Far more than can be sent: the most of a template may be Liquid.
const maxSourceLength = 10_000;

function partsOfSms({ body }: SmsContent): TextPart[] {
  return [{ field: 'body', source: body, maxLength: maxSmsLength, form: 'lines' }];
}

function partsOfWhatsApp(content: WhatsAppContent): TextPart[] {
  switch (content.kind) {
    case 'text': {
      const maxLength = maxWhatsAppLengths.body;
      return [{ field: 'body', source: content.body, maxLength, form: 'lines' }];
    }
    case 'media': {
      const maxLength = maxWhatsAppLengths.caption;
      return content.caption === null
        ? []
        : [{ field: 'caption', source: content.caption, maxLength, form: 'optional' }];
    }
    case 'template':
      // A template refuses a variable that is empty, or breaks a line or leaves a gap in it.
      return Object.entries(content.variables).map(([name, source]) => ({
        field: `variables.${name}`,
        source,
        maxLength: maxWhatsAppLengths.variable,
        form: 'line',
      }));
  }
}

function problemsOf(parts: readonly TextPart[], nameProblem = fieldProblem): ContentProblem[] {
  return parts.flatMap((part) => problemOf(part, nameProblem) ?? []);
}

function problemOf(
  { field, source, maxLength, form }: TextPart,
  nameProblem: typeof fieldProblem,
): ContentProblem | null {
  const problem = checkPart(source, {
    field,
    engine: plainEngine,
    maxLength: maxSourceLength,
    mayBeBlank: form === 'optional',
    nameProblem,
  });
  if (problem !== null) {
    return problem;
  }
  // What customers' values add can only make it longer.
  const { nodes } = compiledPart(field, source, { campaignName: '', tenantName: '' });
  const text = nodes.map((node) => (node.kind === 'static' ? node.text : '')).join('');
  return clean(text, form).length > maxLength
    ? { field, line: 1, column: 1, message: `shows more than ${maxLength} characters` }
    : null;
}

function compiled<Rendered>(
  parts: readonly TextPart[],
  shared: SharedValues,
  assemble: (show: (field: string) => string) => Rendered,
): CompiledText<Rendered> {
  const problems = problemsOf(
    parts,
    shared.data === undefined ? fieldProblem : fieldProblemBesideData,
  );
  if (problems.length > 0) {
    throw new ContentError(problems);
  }
  const programs = new Map(
    parts.map((part) => [
      part.field,
      { part, compiled: compiledPart(part.field, part.source, shared) },
    ]),
  );
  return {
    fields: fieldsOfParts([...programs.values()].map((program) => program.compiled)),
    render(recipient, { at }) {
      const budget = new Budget();
      return assemble((field) => {
        const program = programs.get(field);
        if (program === undefined) {
          throw new Error(`The message has no part ${field}`);
        }
        const text =
          renderPlain(program.compiled, recipient) ??
          renderNodes(
            plainEngine,
            program.compiled.templates,
            createContext(plainEngine, { recipient, shared, at, budget }),
          );
        return sendable(text, program.part);
      });
    },
  };
}

function compiledPart(name: string, source: string, shared: SharedValues): CompiledPart {
  return compilePart({ name, escaping: 'text', source, shared, slots: new Map() });
}

/** The text without Liquid's help, where all it shows are plain fields: a hundredth of the time. */
function renderPlain({ nodes }: CompiledPart, recipient: Recipient): string | null {
  let text = '';
  for (const node of nodes) {
    if (node.kind === 'static') {
      text += node.text;
      continue;
    }
    const printed =
      node.kind === 'field' ? printField(node.field.read(recipient), node.field.fallback) : null;
    if (printed === null) {
      return null;
    }
    text += printed;
    if (text.length > MAX_UNITS) {
      throw new RenderFailure(TOO_MUCH_WORK);
    }
  }
  return text;
}

function sendable(text: string, { field, maxLength, form }: TextPart): string {
  const cleaned = clean(text, form);
  if (cleaned === '' && form !== 'optional') {
    throw new RenderFailure(`${field} is empty`);
  }
  if (cleaned.length > maxLength) {
    throw new RenderFailure(`${field} has more than ${maxLength} characters`);
  }
  return cleaned;
}

// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const UNCLEAN = /[\u0000-\u0009\u000b-\u001f\u007f-\u009f\u2028\u2029\ud800-\udfff]/;

/**
 * What a phone can show. Line breaks of any kind are one character, tabs are spaces; other control
 * characters and halves of surrogate pairs, which no vendor's JSON or form carries unchanged, go.
 */
function clean(text: string, form: TextForm): string {
  const shown = UNCLEAN.test(text)
    ? text
        .replace(/\r\n?|[\u0085\u2028\u2029]/g, '\n')
        .replaceAll('\t', ' ')
        .replace(/(?!\n)[\p{Cc}\p{Surrogate}]/gu, '')
    : text;
  return (form === 'line' ? shown.replace(/\s+/g, ' ') : shown).trim();
}
