import type { Config } from './config';

/** Where recipients reach us, without a trailing slash; every process has to say the same. */
export function publicUrl(config: Pick<Config, 'PUBLIC_URL' | 'API_PORT'>): string {
  return config.PUBLIC_URL?.replace(/\/+$/, '') ?? `http://localhost:${config.API_PORT}`;
}
