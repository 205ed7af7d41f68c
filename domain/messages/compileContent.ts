import { type Liquid, Output, Tag, type Template, TypeGuards } from 'liquidjs';
import { checkContent } from './checkContent';
import { type Content, ContentError } from './content';
import { type SharedValues, htmlEngine, plainEngine } from './engine';
import { type PlainField, ROOT_NAMES, parsePlainField } from './fields';
import { prepareParts } from './prepareParts';

export type { SharedValues } from './engine';

/** How the values of a part are made safe for where they stand. */
export type Escaping = 'html' | 'text' | 'subject';

/** One top-level node of a part, in the way that renders it fastest. */
export type PartNode =
  | { kind: 'static'; text: string }
  /** Read without Liquid; `template` renders values that are no simple ones. */
  | { kind: 'field'; slot: number; isFirst: boolean; field: PlainField; template: Template }
  | {
      kind: 'liquid';
      slot: number;
      isFirst: boolean;
      /** The same for every recipient of a batch, as `{{ "now" | date: "%Y" }}` is. */
      isConstant: boolean;
      template: Template;
    }
  /** Assigns for later nodes and shows nothing. */
  | { kind: 'silent'; template: Template };

/** One part of a message. */
export interface CompiledPart {
  name: string;
  escaping: Escaping;
  engine: Liquid;
  templates: Template[];
  nodes: PartNode[];
}

/** Content ready to be rendered for any number of recipients; keep it as long as it is in use. */
export interface CompiledContent {
  parts: { subject: CompiledPart; html: CompiledPart; text: CompiledPart };
  /** How many different values a recipient has. */
  slots: number;
  /** The targets of tracked links; a link's index is the last segment of its tracking address. */
  links: string[];
  shared: SharedValues;
  /** Whether the subject is blank when every value in it is. */
  canSubjectBeBlank: boolean;
}

/** How content is compiled. */
export interface CompileOptions extends SharedValues {
  /** Sends static links through `links.click`; true when not given. */
  trackClicks?: boolean;
  /** Adds a pixel with `links.open`; true when not given. */
  trackOpens?: boolean;
  /** Adds an unsubscribe line to each part that has none; true when not given. */
  unsubscribeFooter?: boolean;
}

/**
 * Checks content and makes it fast to render: links are tracked, a pixel, a preheader, a text part
 * and an unsubscribe line are added where they are missing.
 *
 * @throws ContentError with the first problem of every part
 */
export function compileContent(content: Content, options: CompileOptions): CompiledContent {
  const problems = checkContent(content);
  if (problems.length > 0) {
    throw new ContentError(problems);
  }
  const { subject, html, text, links } = prepareParts(content, {
    trackClicks: options.trackClicks ?? true,
    trackOpens: options.trackOpens ?? true,
    unsubscribeFooter: options.unsubscribeFooter ?? true,
  });
  const shared = { campaignName: options.campaignName, tenantName: options.tenantName };
  const slots = new Map<string, number>();
  const parts = {
    subject: compilePart({ name: 'subject', escaping: 'subject', source: subject, shared, slots }),
    html: compilePart({ name: 'html', escaping: 'html', source: html, shared, slots }),
    text: compilePart({ name: 'text', escaping: 'text', source: text, shared, slots }),
  } as const;
  return {
    parts,
    slots: slots.size,
    links,
    shared,
    canSubjectBeBlank: parts.subject.nodes.every(
      (node) => node.kind !== 'static' || node.text.trim() === '',
    ),
  };
}

// oxlint-disable-next-line no-control-regex -- control characters are what is looked for
const CONTROL_CHARACTERS = /[\u0000-\u001f\u007f]/g;
const HTML_SPECIAL = /[&<>"']/;
const HTML_ENTITIES: Readonly<Record<string, string>> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&#34;',
  "'": '&#39;',
};

/** Makes a plain value safe for its part, exactly as the part's Liquid engine would. */
export function escapeValue(value: string, escaping: Escaping): string {
  switch (escaping) {
    case 'html':
      return HTML_SPECIAL.test(value)
        ? value.replace(/[&<>"']/g, (character) => HTML_ENTITIES[character] ?? character)
        : value;
    case 'subject':
      return toOneLine(value);
    case 'text':
      return value;
  }
}

/**
 * Line breaks in a header would begin another header. Each character becomes one space, so that a
 * subject is the same whether it is cleaned whole or value by value.
 */
export function toOneLine(subject: string): string {
  return subject.replace(CONTROL_CHARACTERS, ' ');
}

interface PartInput {
  name: string;
  escaping: Escaping;
  source: string;
  shared: SharedValues;
  /** The slot of each value by what makes it: shared by all parts. */
  slots: Map<string, number>;
}

/** Compiles a part that was checked. */
export function compilePart(input: PartInput): CompiledPart {
  const engine = input.escaping === 'html' ? htmlEngine : plainEngine;
  const templates = engine.parse(input.source);
  const nodes: PartNode[] = [];
  for (const [index, template] of templates.entries()) {
    const node = compileNode(template, index, engine, input);
    const last = nodes.at(-1);
    if (node.kind === 'static' && last?.kind === 'static') {
      last.text += node.text;
    } else {
      nodes.push(node);
    }
  }
  return { name: input.name, escaping: input.escaping, engine, templates, nodes };
}

const SILENT_TAGS = new Set(['assign', 'capture']);
const STATIC_TAGS = new Set(['raw', 'comment', '#']);

function compileNode(
  template: Template,
  index: number,
  engine: Liquid,
  { name, escaping, shared, slots }: PartInput,
): PartNode {
  if (TypeGuards.isHTMLToken(template.token)) {
    return staticNode(engine.renderSync([template]), escaping);
  }
  if (template instanceof Tag) {
    if (STATIC_TAGS.has(template.name)) {
      return staticNode(engine.renderSync([template]), escaping);
    }
    if (SILENT_TAGS.has(template.name)) {
      return { kind: 'silent', template };
    }
    const { slot, isFirst } = slotOf(slots, `${name}#${index}`);
    return { kind: 'liquid', slot, isFirst, isConstant: false, template };
  }
  const source = template.token.getText();
  const field = parsePlainField(source);
  if (field) {
    const { slot, isFirst } = slotOf(slots, `${escaping} ${field.key}`);
    return { kind: 'field', slot, isFirst, field, template };
  }
  const constant = parseConstant(source, shared);
  if (constant !== null) {
    return { kind: 'static', text: escapeValue(constant, escaping) };
  }
  // An output of nothing but the recipient's own values shows the same wherever it stands.
  // It is parsed again by itself, because the analysis counts lines from the top of its source.
  const analysis = engine.analyzeSync(engine.parse(source), { partials: false });
  const names = Object.keys(analysis.globals);
  const isShared = template instanceof Output && names.every((each) => ROOT_NAMES.has(each));
  const { slot, isFirst } = slotOf(slots, isShared ? `${escaping} ${source}` : `${name}#${index}`);
  const isConstant = isShared && !names.some((each) => each === 'customer' || each === 'links');
  return { kind: 'liquid', slot, isFirst, isConstant, template };
}

/** The value of an output that is equal for all recipients, or null. */
function parseConstant(source: string, shared: SharedValues): string | null {
  const match = /^\{\{-?\s*(?:(campaign|tenant)\.name|"([^"\\]*)"|'([^'\\]*)')\s*-?\}\}$/.exec(
    source,
  );
  if (match?.[1] !== undefined) {
    return match[1] === 'campaign' ? shared.campaignName : shared.tenantName;
  }
  return match?.[2] ?? match?.[3] ?? null;
}

function staticNode(rendered: unknown, escaping: Escaping): PartNode {
  const text = String(rendered);
  return { kind: 'static', text: escaping === 'subject' ? toOneLine(text) : text };
}

function slotOf(slots: Map<string, number>, key: string): { slot: number; isFirst: boolean } {
  const known = slots.get(key);
  if (known !== undefined) {
    return { slot: known, isFirst: false };
  }
  slots.set(key, slots.size);
  return { slot: slots.size - 1, isFirst: true };
}
