import { invalidField } from '../../domain/errors';
import type { LlmVendor } from '../../domain/llm/types';
import type { Config } from '../../lib/config';
import { publicAddresses } from '../../lib/publicHosts';

/** Where calls go when nobody says otherwise. */
export const ownEndpoints = {
  openrouter: 'https://openrouter.ai/api/v1',
  openai: 'https://api.openai.com/v1',
} as const satisfies Record<LlmVendor, string>;

/**
 * Refuses an address that would have us call into our own network, or send a key in clear. It may
 * lead elsewhere later, so whoever calls it checks what it connects to as well.
 */
export async function requirePublicEndpoint(
  baseUrl: string,
  { NODE_ENV }: Pick<Config, 'NODE_ENV'>,
): Promise<void> {
  if (NODE_ENV !== 'production') {
    return;
  }
  const { protocol, hostname } = new URL(baseUrl);
  if (protocol !== 'https:') {
    throw invalidField('baseUrl', 'notHttps', 'Must be https.');
  }
  const found = await publicAddresses(hostname.replace(/^\[|\]$/g, ''));
  if ('problem' in found) {
    const { code, message } = problems[found.problem];
    throw invalidField('baseUrl', code, message);
  }
}

const problems = {
  notPublic: { code: 'hostNotPublic', message: 'Is not on the public internet.' },
  unknown: { code: 'hostUnknown', message: 'Its host has no address.' },
} as const;
