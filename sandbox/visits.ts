import type { Visit } from './vendor';

const ANSWER_TIMEOUT_MS = 10_000;
const AT_ONCE = 8;

export interface VisitResult extends Visit {
  status: number | null;
  error: string | null;
}

/**
 * Does for real what simulated recipients do: load a pixel, follow a link, unsubscribe by one click.
 * Only this machine is visited, and redirects are not followed, so nothing leaves it.
 */
export async function visitAll(visits: Visit[], signal: AbortSignal): Promise<VisitResult[]> {
  const results: VisitResult[] = [];
  const waiting = [...visits.entries()];
  const lane = async () => {
    for (let next = waiting.shift(); next; next = waiting.shift()) {
      const [place, visit] = next;
      results[place] = await visitOnce(visit, signal);
    }
  };
  await Promise.all(Array.from({ length: Math.min(AT_ONCE, visits.length) }, lane));
  return results;
}

/** Whether an address names this machine. */
export function isLoopback(url: string): boolean {
  if (!URL.canParse(url)) {
    return false;
  }
  const { hostname, protocol } = new URL(url);
  return (
    (protocol === 'http:' || protocol === 'https:') &&
    (hostname === 'localhost' ||
      hostname.endsWith('.localhost') ||
      hostname === '[::1]' ||
      /^127\.\d+\.\d+\.\d+$/.test(hostname))
  );
}

async function visitOnce(visit: Visit, signal: AbortSignal): Promise<VisitResult> {
  if (!isLoopback(visit.url)) {
    return { ...visit, status: null, error: 'not on this machine' };
  }
  try {
    const response = await fetch(visit.url, {
      ...requestFor(visit),
      redirect: 'manual',
      signal: AbortSignal.any([signal, AbortSignal.timeout(ANSWER_TIMEOUT_MS)]),
    });
    await response.arrayBuffer();
    return { ...visit, status: response.status, error: null };
  } catch (error) {
    return { ...visit, status: null, error: String(error) };
  }
}

function requestFor({ purpose, userAgent }: Visit): RequestInit {
  if (purpose === 'unsubscribe') {
    // RFC 8058: the mail provider posts exactly this, without cookies.
    return {
      method: 'POST',
      headers: { 'user-agent': userAgent, 'content-type': 'application/x-www-form-urlencoded' },
      body: 'List-Unsubscribe=One-Click',
    };
  }
  const accept = purpose === 'open' ? 'image/*' : 'text/html,application/xhtml+xml';
  return { headers: { 'user-agent': userAgent, accept } };
}
