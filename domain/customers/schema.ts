import { z } from 'zod';
import { canonicalZone } from '../campaigns/zones';
import { normalizeEmail } from './email';
import { canonicalLanguage } from './language';

/** A text that a pure function brings into its one form, or refuses under a code of its own. */
function normalized(
  normalize: (text: string) => string | null,
  refusal: { code: string; message: string },
) {
  return z
    .string()
    .max(320)
    .transform((text, context) => {
      const value = normalize(text);
      if (value === null) {
        context.addIssue({
          code: 'custom',
          message: refusal.message,
          params: { code: refusal.code },
        });
        return z.NEVER;
      }
      return value;
    });
}

export const email = normalized(normalizeEmail, {
  code: 'wrongEmail',
  message: 'Is not an email address mail can be sent to.',
}).meta({ format: 'email' });

export const language = normalized(canonicalLanguage, {
  code: 'wrongLanguage',
  message: 'Is not a BCP 47 language tag, such as "en" or "pt-BR".',
});

export const timeZone = normalized(canonicalZone, {
  code: 'unknownTimeZone',
  message: 'Is not an IANA time zone, such as "Europe/Berlin".',
});

export const name = z.string().trim().min(1).max(100);
