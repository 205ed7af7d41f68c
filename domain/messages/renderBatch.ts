import type { Context } from 'liquidjs';
import { Budget, MAX_UNITS, TOO_MUCH_WORK } from './budget';
import {
  type CompiledContent,
  type CompiledPart,
  type PartNode,
  escapeValue,
  toOneLine,
} from './compileContent';
import { type Recipient, RenderFailure, type RenderedMessage } from './content';
import { createContext, renderNodes } from './engine';
import { type PlainField, printField } from './fields';
import { renderOne } from './renderOne';
import { jsonText } from './jsonText';
import { isPlainText } from './plainText';
import { utf8Length } from './utf8Length';

/** SendGrid counts the substitutions of one recipient and refuses the call above this. */
export const MAX_SUBSTITUTION_BYTES = 10_000;

// Far below what a message may cost, however often a value is shown.
const MOST_PLAIN_CHARACTERS = 2_000;
// A recipient of more is dearer than whoever renders without a pause may bear.
const MOST_PLAIN_SLOTS = 200;

/** Messages for one call to a provider that puts each recipient's values into a shared text. */
export interface RenderedBatch {
  /** The message with a token for every value. */
  template: RenderedMessage;
  /** The tokens in the template, in the order of the values. */
  tokens: string[];
  /**
   * By index of the recipient: its JSON object from token to value, ready to be put into a request;
   * null when the recipient is among `singles` or `failures`.
   */
  substitutions: (string | null)[];
  /** Recipients whose values are too large, rendered whole for a call of their own. */
  singles: { index: number; message: RenderedMessage }[];
  /** Recipients whose message cannot be rendered. The message may quote the customer's data. */
  failures: { index: number; message: string }[];
}

/** How a batch is rendered. */
export interface BatchOptions {
  /** At least 8 letters and digits nobody can guess, new for every call to the provider. */
  tokenPrefix: string;
  /** What "now" means to date filters. */
  at: Date;
  /**
   * What everybody's links begin with. `renderPlain` is then told what ends a recipient's, in characters
   * that stand for themselves everywhere, and does not look at the links again for each.
   */
  linkStarts?: Recipient['links'];
}

/**
 * Renders many recipients' messages at a fraction of the cost of as many `renderOne`: what differs
 * between them becomes tokens and values. One recipient that cannot be rendered harms no other.
 */
export function renderBatch(
  compiled: CompiledContent,
  recipients: readonly Recipient[],
  options: BatchOptions,
): RenderedBatch {
  const renderer = createBatchRenderer(compiled, options);
  const { template, tokens } = renderer;
  const batch: RenderedBatch = { template, tokens, substitutions: [], singles: [], failures: [] };
  for (const [index, recipient] of recipients.entries()) {
    const rendered = renderer.renderPlain(recipient) ?? renderer.renderAny(recipient);
    batch.substitutions.push(typeof rendered === 'string' ? rendered : null);
    if (typeof rendered !== 'string') {
      if ('single' in rendered) {
        batch.singles.push({ index, message: rendered.single });
      } else {
        batch.failures.push({ index, message: rendered.failure });
      }
    }
  }
  return batch;
}

/** The same for one recipient after the other. */
export interface BatchRenderer {
  template: RenderedMessage;
  tokens: string[];
  /** A recipient's JSON in about a microsecond, where what is shown is plain; null nearly never. */
  renderPlain(recipient: Recipient, linkEnd?: string): string | null;
  /** A recipient's JSON whatever is shown, a message for a call of its own, or why there is none. */
  renderAny(recipient: Recipient): string | { single: RenderedMessage } | { failure: string };
}

export function createBatchRenderer(
  compiled: CompiledContent,
  options: BatchOptions,
): BatchRenderer {
  if (!/^[A-Za-z0-9]{8,64}$/.test(options.tokenPrefix)) {
    throw new RangeError('tokenPrefix needs 8 to 64 letters and digits');
  }
  const tokens = Array.from(
    { length: compiled.slots },
    (_, slot) => `-${options.tokenPrefix}x${slot}-`,
  );
  const keys = tokens.map((token, slot) => `${slot === 0 ? '{' : ','}"${token}":`);
  const { parts } = compiled;
  const template = {
    subject: partWith(parts.subject, tokens),
    html: partWith(parts.html, tokens),
    text: partWith(parts.text, tokens),
  };
  const values: string[] = Array.from({ length: compiled.slots }, () => '');
  const evaluate = createEvaluator(compiled, options.at);
  return {
    template,
    tokens,
    renderPlain: createPlainRenderer(compiled, tokens, options.linkStarts),
    renderAny(recipient) {
      try {
        evaluate(recipient, values);
        const json = objectJson(keys, values);
        return isTooLarge(json) ? { single: renderOne(compiled, recipient, options) } : json;
      } catch (error) {
        if (!(error instanceof RenderFailure)) {
          throw error;
        }
        return { failure: error.message };
      }
    },
  };
}

/**
 * A function that renders one recipient's whole message after the other, equal to `renderOne` byte for
 * byte and several times as fast: only what is more than a field goes through Liquid.
 */
export function createWholeRenderer(
  compiled: CompiledContent,
  { at }: { at: Date },
): (recipient: Recipient) => RenderedMessage | { failure: string } {
  const { subject, html, text } = compiled.parts;
  const evaluate = createEvaluator(compiled, at);
  const values: string[] = Array.from({ length: compiled.slots }, () => '');
  return (recipient) => {
    try {
      evaluate(recipient, values);
    } catch (error) {
      if (!(error instanceof RenderFailure)) {
        throw error;
      }
      return { failure: error.message };
    }
    return {
      subject: partWith(subject, values),
      html: partWith(html, values),
      text: partWith(text, values),
    };
  };
}

/** A part with a text in the place of each slot: tokens, or one recipient's values. */
function partWith(part: CompiledPart, slots: string[]): string {
  let text = '';
  for (const node of part.nodes) {
    if (node.kind === 'static') {
      text += node.text;
    } else if (node.kind !== 'silent') {
      text += slots[node.slot] ?? '';
    }
  }
  return text;
}

/**
 * A function that answers a recipient's JSON at once if all that is shown are fields and all their
 * values are plain and short, as nearly always; null asks for the general way. One look at the values
 * put together takes the place of escaping and quoting each, wherever it is shown.
 */
function createPlainRenderer(
  compiled: CompiledContent,
  tokens: string[],
  linkStarts: Recipient['links'] | undefined,
): BatchRenderer['renderPlain'] {
  const { subject, html, text } = compiled.parts;
  const steps = [subject, html, text].flatMap((part) => part.nodes.filter(isStep));
  const startOf = plainStarts(linkStarts);
  const readers: PlainField[] = [];
  const indexes = new Map<string, number>();
  // By slot: which of the printed values it shows, and what is written before it.
  const shown: number[] = [];
  const openings = tokens.map((token, slot) => `${slot === 0 ? '{' : '",'}"${token}":"`);
  const linkEndIndex = 0;
  for (const step of steps) {
    const isPlain = step.kind === 'field' && compiled.slots <= MOST_PLAIN_SLOTS;
    if (!isPlain || compiled.canSubjectBeBlank) {
      return () => null;
    }
    const start = startOf.get(step.field.path);
    if (start !== undefined) {
      openings[step.slot] += start;
      shown[step.slot] = linkEndIndex;
      continue;
    }
    const index = indexes.get(step.field.key) ?? readers.push(step.field);
    indexes.set(step.field.key, index);
    shown[step.slot] = index;
  }
  const printed: string[] = ['', ...readers.map(() => '')];
  const areFallbacksPlain = readers.every(({ fallback }) => isPlainText(fallback ?? ''));
  const end = tokens.length === 0 ? '{}' : '"}';
  return (recipient, linkEnd = '') => {
    let characters = 0;
    for (let index = 0; index < readers.length; index += 1) {
      const field = readers[index];
      const value = field === undefined ? '' : printField(field.read(recipient), field.fallback);
      if (value === null) {
        return null;
      }
      printed[index + 1] = value;
      characters += value.length;
    }
    if (characters > MOST_PLAIN_CHARACTERS) {
      return null;
    }
    // Whoever read the customer may have looked already, at many texts at once.
    if (!(areFallbacksPlain && recipient.isPlain === true)) {
      printed[linkEndIndex] = '';
      if (!isPlainText(printed.join(''))) {
        return null;
      }
    }
    printed[linkEndIndex] = linkEnd;
    let json = '';
    for (let slot = 0; slot < openings.length; slot += 1) {
      json += (openings[slot] ?? '') + (printed[shown[slot] ?? -1] ?? '');
    }
    json += end;
    return isTooLarge(json) ? null : json;
  };
}

/** The starts of links by their paths; none when one of them has to be looked at. */
function plainStarts(starts: Recipient['links'] | undefined): ReadonlyMap<string, string> {
  const known = Object.entries(starts ?? {});
  return known.every(([, start]) => isPlainText(start))
    ? new Map(known.map(([name, start]) => [`links.${name}`, start]))
    : new Map();
}

/**
 * A function that fills `values`, by slot, with what one recipient's message shows. It must be given
 * the same array each time: constant values are written once.
 */
function createEvaluator(
  compiled: CompiledContent,
  at: Date,
): (recipient: Recipient, values: string[]) => void {
  const { parts, shared } = compiled;
  const programs = [parts.subject, parts.html, parts.text].map((part) => ({
    part,
    steps: part.nodes.filter(isStep).map((step) => ({ step, templates: [step.template] })),
  }));
  const subjectSlots = parts.subject.nodes.flatMap((node) => ('slot' in node ? [node.slot] : []));
  const constantsKnown = new Set<number>();
  const budget = new Budget();
  return (recipient, values) => {
    budget.reset();
    let characters = 0;
    for (const { part, steps } of programs) {
      // One context a part, made only when something needs Liquid: assignments live in it.
      let context: Context | undefined;
      for (const { step, templates } of steps) {
        if (step.kind === 'field') {
          const printed = printField(step.field.read(recipient), step.field.fallback);
          if (printed !== null) {
            characters += printed.length;
            if (characters > MAX_UNITS) {
              throw new RenderFailure(TOO_MUCH_WORK);
            }
            values[step.slot] = escapeValue(printed, part.escaping);
            continue;
          }
        }
        if (step.kind === 'liquid' && constantsKnown.has(step.slot)) {
          continue;
        }
        context ??= createContext(part.engine, { recipient, shared, at, budget });
        const text = renderNodes(part.engine, templates, context);
        if (step.kind === 'silent') {
          continue;
        }
        // Inside a node the engine has escaped; only what no engine knows is left to do.
        values[step.slot] = part.escaping === 'subject' ? toOneLine(text) : text;
        if (step.kind === 'liquid' && step.isConstant) {
          constantsKnown.add(step.slot);
        }
      }
    }
    if (compiled.canSubjectBeBlank && subjectSlots.every((slot) => values[slot]?.trim() === '')) {
      throw new RenderFailure('the subject is empty');
    }
  };
}

function isStep(node: PartNode): node is Exclude<PartNode, { kind: 'static' }> {
  // A value that several nodes show is made by the first.
  return node.kind !== 'static' && (node.kind === 'silent' || node.isFirst);
}

/** A JSON object's text from its keys' texts (with brace or comma, and colon) and its values. */
function objectJson(keys: string[], values: string[]): string {
  let json = '';
  for (let slot = 0; slot < keys.length; slot += 1) {
    json += (keys[slot] ?? '') + jsonText(values[slot] ?? '');
  }
  return keys.length === 0 ? '{}' : `${json}}`;
}

function isTooLarge(json: string): boolean {
  // No UTF-16 unit takes more than three bytes, which settles nearly every case without counting.
  return json.length * 3 > MAX_SUBSTITUTION_BYTES && utf8Length(json) > MAX_SUBSTITUTION_BYTES;
}
