import { z } from 'zod';
import { createApiCaller } from './apiCaller';

const everyMs = 8_000;
// Well before an access token ends.
const signInEveryMs = 10 * 60_000;

const Session = z.object({ accessToken: z.string() });
const Answer = z.object({ text: z.string() });

const questions = [
  'Which door chime suits a small flat?',
  'How do I hang a bell that weighs four kilos?',
  'Is brass or bronze better outdoors?',
  'Do you engrave a name by Friday?',
  'What does a carillon of eight bells cost?',
];

/**
 * Has the demo's shop ask a model something every few seconds, so that its keys can be watched at work:
 * how one that is limited cools, how others take over, how it comes back. What fails is left at that,
 * and nothing waits for it; a budget that is spent ends it.
 */
export function keepAsking(
  baseUrl: string,
  account: { email: string; password: string },
  { intervalMs = everyMs }: { intervalMs?: number } = {},
): { stop(): void; ended: Promise<void> } {
  const api = createApiCaller(baseUrl);
  let signedInAt = -Infinity;
  let n = 0;
  let end: () => void = () => undefined;
  const ended = new Promise<void>((resolve) => {
    end = resolve;
  });
  let isAsking = false;
  const timer = setInterval(() => {
    if (!isAsking) {
      isAsking = true;
      void ask()
        .catch(() => undefined)
        .finally(() => {
          isAsking = false;
        });
    }
  }, intervalMs);
  timer.unref();
  return { stop, ended };

  function stop(): void {
    clearInterval(timer);
    end();
  }

  async function ask(): Promise<void> {
    if (Date.now() - signedInAt > signInEveryMs) {
      signedInAt = Date.now();
      const request = { method: 'POST', path: '/auth/login', body: account } as const;
      api.useToken((await api.call(request, Session)).accessToken);
    }
    const content = questions[(n += 1) % questions.length];
    const body = { messages: [{ role: 'user', content }], maxTokens: 40, temperature: 1 };
    const answer = await api.callUnless([402], { method: 'POST', path: '/llm/chat', body }, Answer);
    if (answer === undefined) {
      stop();
    }
  }
}
