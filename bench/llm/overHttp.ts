import { Agent, request } from 'undici';
import { z } from 'zod';
import { freePort } from '../../workers/launch/ports';
import { publicUrl, sealingKeys, startProcess, trackingSecret } from '../campaign/ground';
import type { LlmGround } from './ground';
import { benchModel } from './load';
import { spreadOf, type Spread } from './messages';
import { owner } from './owner';

const PARALLEL = 64;
const WARM_UP_MS = 2_000;
const STOP_MS = 15_000;

export interface OverHttp {
  parallel: number;
  perSecond: number;
  failed: number;
  tookMs: Spread;
}

const LoggedIn = z.object({ data: z.object({ accessToken: z.string() }) });

/** `POST /llm/chat` of one API process, each caller asking again as soon as it is answered. */
export async function measureOverHttp(
  { base }: Pick<LlmGround, 'base'>,
  seconds: number,
): Promise<OverHttp> {
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const api = await startProcess(
    [`${base.dist}/api/server.js`],
    {
      LOG_LEVEL: 'error',
      DATABASE_URL: base.appUrl,
      TEMPORAL_ADDRESS: base.temporalServer.address,
      PUBLIC_URL: publicUrl,
      TRACKING_SECRET: trackingSecret,
      SEALING_KEYS: sealingKeys,
      API_PORT: String(port),
      RATE_LIMIT_AUTH_PER_MIN: '1000',
      RATE_LIMIT_API_PER_MIN: '1000000',
      SUPERVISOR_PID: String(process.pid),
    },
    `${url}/ready`,
  );
  const agent = new Agent({ connections: PARALLEL });
  const post = async (path: string, body: unknown, token?: string) => {
    const answer = await request(`${url}/api/v1${path}`, {
      dispatcher: agent,
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
      },
      body: JSON.stringify(body),
    });
    return { status: answer.statusCode, text: await answer.body.text() };
  };
  try {
    const { text } = await post('/auth/login', owner);
    const { accessToken } = LoggedIn.parse(JSON.parse(text)).data;
    const body = {
      model: benchModel,
      maxTokens: 200,
      messages: [{ role: 'user', content: 'What makes the autumn blend different?' }],
    };
    const took: number[] = [];
    let failed = 0;
    const countsFrom = performance.now() + WARM_UP_MS;
    const endsAt = countsFrom + seconds * 1_000;
    const asking = Array.from({ length: PARALLEL }, async () => {
      while (performance.now() < endsAt) {
        const began = performance.now();
        const { status } = await post('/llm/chat', body, accessToken);
        failed += status === 200 ? 0 : 1;
        if (began >= countsFrom && performance.now() < endsAt && status === 200) {
          took.push(performance.now() - began);
        }
      }
    });
    await Promise.all(asking);
    const perSecond = Math.round(took.length / seconds);
    return { parallel: PARALLEL, perSecond, failed, tookMs: spreadOf(took) };
  } finally {
    await agent.close();
    const late = setTimeout(() => api.child.kill('SIGKILL'), STOP_MS);
    await api.stop();
    clearTimeout(late);
  }
}
