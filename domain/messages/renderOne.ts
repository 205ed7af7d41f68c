import { Budget } from './budget';
import { type CompiledContent, type CompiledPart, toOneLine } from './compileContent';
import { type Recipient, RenderFailure, type RenderedMessage } from './content';
import { createContext, renderNodes } from './engine';

/**
 * Renders one recipient's message whole, by Liquid alone: what the provider makes of a batch is
 * equal to it byte for byte. `at` is what "now" means to date filters.
 *
 * @throws RenderFailure when this recipient's values cannot be rendered
 */
export function renderOne(
  compiled: CompiledContent,
  recipient: Recipient,
  options: { at: Date },
): RenderedMessage {
  const budget = new Budget();
  const render = ({ engine, templates }: CompiledPart): string =>
    renderNodes(
      engine,
      templates,
      createContext(engine, { recipient, shared: compiled.shared, at: options.at, budget }),
    );
  const { parts } = compiled;
  const subject = toOneLine(render(parts.subject));
  // A provider refuses a whole call for one message without a subject.
  if (subject.trim() === '') {
    throw new RenderFailure('the subject is empty');
  }
  return { subject, html: render(parts.html), text: render(parts.text) };
}
