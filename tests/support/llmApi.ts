import type { Llm } from '../../gateway';
import type { Role } from '../../domain/identity/permissions';
import { startTestApi, type TestApi } from './api';
import { knows, openLlmGround, type LlmGround, type LlmTenant } from './llmGround';
import { tokenFor } from './tokens';

/** The API over a vendor of models in the sandbox. */
export interface LlmApi {
  readonly api: TestApi;
  readonly ground: LlmGround;
  readonly llm: Llm;
  /** A tenant with keys of its own, which the API knows, and how its people call. */
  caller(role?: Role): Promise<{ tenant: LlmTenant; token: string }>;
  stop(): Promise<void>;
}

export async function openLlmApi(): Promise<LlmApi> {
  const ground = await openLlmGround();
  const llm = await ground.process();
  const api = await startTestApi({ db: ground.database.app, llm });
  return {
    api,
    ground,
    llm,
    async caller(role = 'member') {
      const tenant = await ground.tenant();
      await knows(llm, tenant);
      return { tenant, token: await tokenFor(api.deps, tenant.id, role) };
    },
    async stop() {
      await api.stop();
      await ground.close();
    },
  };
}
