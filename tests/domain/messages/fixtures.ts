import { type CompileOptions, compileContent } from '../../../domain/messages/compileContent';
import type { Content, Recipient, RenderedMessage } from '../../../domain/messages/content';
import type { RenderedBatch } from '../../../domain/messages/renderBatch';
import { renderOne } from '../../../domain/messages/renderOne';

export const at = new Date('2026-03-10T12:34:56Z');

export function buildRecipient(changes: Partial<Recipient> = {}): Recipient {
  return {
    n: 7,
    email: 'ana@shop.example',
    firstName: 'Ana',
    lastName: 'Lima',
    phone: '+351910000000',
    language: 'pt',
    timeZone: 'Europe/Lisbon',
    externalId: 'c-1',
    tags: ['vip', 'summer'],
    attributes: { city: 'Porto', points: 120, since: '2024-05-01', newsletter: false },
    links: {
      click: 'https://t.example/c/tok',
      open: 'https://t.example/o/tok',
      unsubscribe: 'https://t.example/u/tok',
    },
    ...changes,
  };
}

export function compile(content: Partial<Content>, options: Partial<CompileOptions> = {}) {
  return compileContent(
    { subject: 'Hello', html: '<p>Hello</p>', ...content },
    { campaignName: 'Spring & Sun', tenantName: "Ana's <Shop>", ...options },
  );
}

/** Compiles without any additions and renders for one recipient. */
export function show(content: Partial<Content>, changes: Partial<Recipient> = {}): RenderedMessage {
  const compiled = compile(content, {
    trackClicks: false,
    trackOpens: false,
    unsubscribeFooter: false,
  });
  return renderOne(compiled, buildRecipient(changes), { at });
}

/** What a provider makes of one recipient of a batch: every token replaced, one after the other. */
export function substitute(
  batch: RenderedBatch,
  index: number,
  order: (tokens: string[]) => string[] = (tokens) => tokens,
): RenderedMessage {
  const values: Record<string, string> = JSON.parse(batch.substitutions[index] ?? 'null');
  const fill = (text: string): string => {
    let filled = text;
    for (const token of order(Object.keys(values))) {
      filled = filled.replaceAll(token, () => values[token] ?? '');
    }
    return filled;
  };
  return {
    subject: fill(batch.template.subject),
    html: fill(batch.template.html),
    text: fill(batch.template.text),
  };
}

/** Numbers in [0, 1) that are the same in every run (mulberry32). */
export function seededRandom(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let mixed = Math.imul(state ^ (state >>> 15), 1 | state);
    mixed = (mixed + Math.imul(mixed ^ (mixed >>> 7), 61 | mixed)) ^ mixed;
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 4_294_967_296;
  };
}
