import type { OpenedAccount } from '../domain/messages/accounts/types';

// Shorter ones are in any text, and taking those out would show where they were.
const shortest = 6;

/** What opens an account, in each form in which it travels: as it is, and as HTTP and SMTP encode it. */
export function secretsOf({ vendor, settings, credentials }: OpenedAccount): string[] {
  const plain = Object.values(credentials).filter((value) => value !== undefined);
  switch (vendor) {
    case 'smtp': {
      const { username, password } = credentials;
      return formsOf([...plain, `\0${username}\0${password}`]);
    }
    case 'twilio':
      return formsOf([...plain, `${settings.accountSid}:${credentials.authToken}`]);
    case 'sendgrid':
    case 'meta':
      return formsOf(plain);
  }
}

/**
 * What a vendor said, without the secrets it may have repeated: vendors quote what they refuse, and
 * their words are shown to people and kept. One that was cut off in the middle goes as well.
 */
export function withoutSecrets(text: string, secrets: readonly string[]): string {
  return secrets.reduce(
    (rest, secret) => withoutBeginning(rest.replaceAll(secret, '[secret]'), secret),
    text,
  );
}

function formsOf(secrets: readonly string[]): string[] {
  const forms = secrets.flatMap((secret) => [
    secret,
    encodeURIComponent(secret),
    Buffer.from(secret).toString('base64'),
  ]);
  // The longest first: one may be a part of another.
  return [...new Set(forms)]
    .filter((form) => form.length >= shortest)
    .sort((a, b) => b.length - a.length);
}

function withoutBeginning(text: string, secret: string): string {
  for (let length = secret.length - 1; length >= shortest; length -= 1) {
    if (text.endsWith(secret.slice(0, length))) {
      return `${text.slice(0, -length)}[secret]`;
    }
  }
  return text;
}
