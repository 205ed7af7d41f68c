/** Text that is HTML already. */
export class Markup {
  constructor(readonly text: string) {}
}

type Piece = Markup | string | number | null | false | readonly Piece[];

/** Builds HTML; every value is escaped unless it was built the same way. */
export function html(parts: TemplateStringsArray, ...values: Piece[]): Markup {
  return new Markup(parts.map((part, index) => part + render(values[index] ?? null)).join(''));
}

function render(piece: Piece): string {
  if (piece === null || piece === false) {
    return '';
  }
  if (piece instanceof Markup) {
    return piece.text;
  }
  if (typeof piece === 'string' || typeof piece === 'number') {
    return escapeHtml(String(piece));
  }
  return piece.map(render).join('');
}

const ENTITIES: Record<string, string> = {
  '&': '&amp;',
  '<': '&lt;',
  '>': '&gt;',
  '"': '&quot;',
  "'": '&#39;',
};

function escapeHtml(text: string): string {
  return text.replace(/[&<>"']/g, (character) => ENTITIES[character] ?? character);
}
