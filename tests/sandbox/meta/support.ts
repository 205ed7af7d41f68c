import { DEMO_META_ACCOUNT, type Sandbox } from '../../../sandbox';

export const { phoneNumberId, accessToken, appSecret, verifyToken } = DEMO_META_ACCOUNT;
export const run = '019a9d00-0000-7000-8000-00000000000a';

export interface MetaAnswer {
  status: number;
  headers: Headers;
  body: Record<string, unknown>;
}

/** A request to the stand-in's API as any HTTP client would make it. */
export async function callMeta(
  sandbox: Pick<Sandbox, 'url'>,
  path: string,
  init: { method?: string; authorization?: string | null; json?: unknown } = {},
): Promise<MetaAnswer> {
  const { authorization = `Bearer ${accessToken}`, json, method } = init;
  const response = await fetch(`${sandbox.url}/${path}`, {
    method: method ?? (json === undefined ? 'GET' : 'POST'),
    headers: {
      'content-type': 'application/json',
      ...(authorization === null ? {} : { authorization }),
    },
    ...(json === undefined ? {} : { body: typeof json === 'string' ? json : JSON.stringify(json) }),
  });
  const body: Record<string, unknown> = JSON.parse(await response.text());
  return { status: response.status, headers: response.headers, body };
}

/** Sends the smallest message the vendor takes, changed. */
export function sendMessage(
  sandbox: Pick<Sandbox, 'url'>,
  changes: object = {},
): Promise<MetaAnswer> {
  return callMeta(sandbox, `v25.0/${phoneNumberId}/messages`, {
    json: {
      messaging_product: 'whatsapp',
      to: '+49301234567',
      ...template('parcel_is_here', ['Ana']),
      ...changes,
    },
  });
}

export function template(name: string, texts: string[] = [], code = 'de') {
  const parameters = texts.map((text) => ({ type: 'text', text }));
  return {
    type: 'template',
    template: { name, language: { code }, components: [{ type: 'body', parameters }] },
  };
}

/** A free text, which needs a customer who wrote. */
export function text(body: string) {
  return { type: 'text', text: { body }, template: undefined };
}

/** The id of an accepted message. */
export function idOf({ body }: MetaAnswer): string {
  const [message] = Array.isArray(body.messages) ? body.messages : [];
  return String(message?.id);
}

/** The error of a refusal. */
export function errorOf({ body }: MetaAnswer): Record<string, unknown> {
  const { error } = body;
  return typeof error === 'object' && error !== null ? { ...error } : {};
}
