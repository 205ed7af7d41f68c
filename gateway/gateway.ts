import { chat } from './chat';
import type { ChatDeps } from './chatPlan';
import { stream } from './stream';
import type { LlmGateway } from './types';
import { embed, image } from './wholeCalls';

/** Carries out requests: whatever each of them needs to come to its answer, within its time. */
export function createGateway(deps: ChatDeps): LlmGateway {
  return {
    chat: (ask, options) => chat(deps, ask, options?.signal),
    stream: (ask, options) => stream(deps, ask, options?.signal),
    embed: (ask, options) => embed(deps, ask, options?.signal),
    image: (ask, options) => image(deps, ask, options?.signal),
  };
}
