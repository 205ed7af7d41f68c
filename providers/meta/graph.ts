import { readAnswer, StrictHttp } from '../http/strictHttp';
import { defaultApiVersion, type MetaAccount } from './account';

/** What Meta answered with a success. */
export interface GraphAnswer {
  status: number;
  body: unknown;
}

export interface Graph {
  /** Both throw what `outcomeOfError` understands. */
  get(path: string): Promise<GraphAnswer>;
  post(path: string, body: unknown): Promise<GraphAnswer>;
  close(): void;
}

// The vendor's description of its interface asks for a name and a version of three parts.
const userAgent = 'Carillon/1.0.0';

/** Meta's Graph API for one account. There is no client of the vendor's own that it maintains. */
export function openGraph(account: Omit<MetaAccount, 'accountId'>): Graph {
  const { accessToken, apiVersion, baseUrl, timeoutMs } = account;
  const http = new StrictHttp(timeoutMs);
  const root = `${baseUrl ?? 'https://graph.facebook.com'}/${apiVersion ?? defaultApiVersion}/`;
  return {
    get: (path) => call('GET', path, ''),
    post: (path, body) => call('POST', path, JSON.stringify(body)),
    close: () => http.close(),
  };

  async function call(method: string, path: string, body: string): Promise<GraphAnswer> {
    const answer = await http.call({
      method,
      url: new URL(root + path),
      headers: {
        Accept: 'application/json',
        Authorization: `Bearer ${accessToken}`,
        'User-Agent': userAgent,
        ...(body === '' ? {} : { 'Content-Type': 'application/json' }),
      },
      body,
    });
    return { status: answer.status, body: readAnswer(answer) };
  }
}
