import type { CallCounts, OpenRouterCall, OpenRouterFault } from '../../sandbox';

/** How long the vendor thinks before it answers; it refuses at once. */
export const answerMs = 20;

export interface CallPage {
  byKey: Record<string, CallCounts>;
  items: OpenRouterCall[];
}

/** The stand-in for the vendor, in a process of its own. */
export interface Vendor {
  baseUrl: string;
  /** All as at the start, its answers as slow as they are meant to be. */
  reset(thinkMs?: number): Promise<void>;
  setFaults(...rules: OpenRouterFault[]): Promise<void>;
  setCredit(account: string, creditMicros: number): Promise<void>;
  revoke(label: string): Promise<void>;
  calls(): Promise<CallPage>;
  forgetCalls(): Promise<void>;
}

export function createVendor(url: string, baseUrl: string): Vendor {
  const ask = async (path: string, method = 'GET', body?: unknown): Promise<string> => {
    const response = await fetch(`${url}/api/openrouter${path}`, {
      method,
      ...(body === undefined ? {} : { body: JSON.stringify(body) }),
    });
    const text = await response.text();
    if (!response.ok) {
      throw new Error(`${method} ${path} answered ${response.status}: ${text}`);
    }
    return text;
  };
  let slow: OpenRouterFault = { latencyMs: answerMs };
  const setFaults = async (...rules: OpenRouterFault[]) => {
    await ask('/faults', 'PUT', [...rules, slow]);
  };
  return {
    baseUrl,
    async reset(thinkMs = answerMs) {
      slow = { latencyMs: thinkMs };
      await ask('/reset', 'POST');
      await setFaults();
    },
    setFaults,
    setCredit: async (account, creditMicros) =>
      void (await ask(`/accounts/${account}`, 'PUT', { creditMicros })),
    revoke: async (label) => void (await ask(`/keys/${label}`, 'PUT', { isRevoked: true })),
    forgetCalls: async () => void (await ask('/calls', 'DELETE')),
    async calls() {
      const page: CallPage = JSON.parse(await ask('/calls?limit=100000'));
      return page;
    },
  };
}
