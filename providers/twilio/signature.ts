import twilio from 'twilio';

export const signatureHeader = 'X-Twilio-Signature';

/** The fields of a callback; a name that came several times has all its values. */
export type CallbackParameters = Readonly<Record<string, string | string[]>>;

/** A callback as it came: the signature covers the address and every field. */
export interface SignedCallback {
  signature: string;
  /**
   * The address that Twilio called, with its query: built from the configured public one, never
   * from a Host header, which a proxy changes and a stranger chooses.
   */
  url: string;
  parameters: CallbackParameters;
}

/**
 * Whether the holder of the account's auth token signed exactly this; compared in constant time.
 * Nothing in it says when: a replay is known by its event id alone.
 */
export function isSignedByTwilio(authToken: string, callback: SignedCallback): boolean {
  const { signature, url, parameters } = callback;
  // An empty token is everybody's.
  return authToken !== '' && twilio.validateRequest(authToken, signature, url, { ...parameters });
}

/** The fields of a form-encoded body. */
export function parametersOf(body: Buffer): CallbackParameters {
  const form = new URLSearchParams(body.toString('utf8'));
  return Object.fromEntries(
    [...new Set(form.keys())].map((name) => {
      const [first = '', ...others] = form.getAll(name);
      return [name, others.length === 0 ? first : [first, ...others]];
    }),
  );
}

/** A field's value, its first if there are several; empty when it is missing. */
export function fieldOf(parameters: CallbackParameters, name: string): string {
  const value = Object.hasOwn(parameters, name) ? (parameters[name] ?? '') : '';
  return typeof value === 'string' ? value : (value[0] ?? '');
}
