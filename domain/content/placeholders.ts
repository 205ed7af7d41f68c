const pattern = /\{\{([^{}]{1,200})\}\}/g;

/** The placeholders of texts, such as `{{ customer.firstName }}`, each once, however it is spaced. */
export function placeholdersIn(...texts: readonly (string | null)[]): Set<string> {
  return new Set(
    texts.flatMap((text) =>
      [...(text ?? '').matchAll(pattern)].map(([, name = '']) => plain(name)),
    ),
  );
}

function plain(name: string): string {
  return `{{ ${name.trim().replace(/\s+/g, ' ')} }}`;
}
