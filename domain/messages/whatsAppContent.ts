/**
 * A WhatsApp message: as an author writes it, with Liquid in its texts, and as it is rendered. Text
 * and media may be sent within 24 hours of the customer's last message only; a template that was
 * approved may always be sent.
 */
export type WhatsAppContent =
  | { kind: 'text'; body: string }
  /** `variables`: name in the template → value. A vendor whose ids name one language ignores `language`. */
  | { kind: 'template'; id: string; language: string; variables: Readonly<Record<string, string>> }
  /** A public address that the vendor loads the file from; there is no Liquid in it. */
  | { kind: 'media'; url: string; caption: string | null };

/** The longest texts that every vendor takes; Meta itself would take longer ones. */
export const maxWhatsAppLengths = { body: 1_600, caption: 1_024, variable: 1_024 } as const;

/** How many variables a template may have. */
export const maxTemplateVariables = 50;
