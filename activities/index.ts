import { createReconcileRecords } from './campaigns/reconcileRecords';
import { createRunActivities } from './campaigns/runs';
import { createSendTest } from './campaigns/sendTest';
import { createFailContent, createGenerateContent } from './content/generateContent';
import type { ActivityDeps } from './deps';
import { createKeyringActivities } from './llm/keyrings';
import { createProbes } from './llm/probes';
import { createLlmTending } from './llm/tending';
import { createTendSignIn } from './identity/tendSignIn';
import { createCountSealedOtherwise, createResealSlice } from './identity/reseal';
import { createApplyStoredEvents } from './messages/applyStoredEvents';
import { createDispatchSlice } from './messages/dispatchSlice';
import { createSettleRunDoubts } from './messages/settleRunDoubts';
import { createSendMessages, createTendStandingRuns } from './transactional/sendMessages';

export type { ActivityDeps } from './deps';

/** Every activity, over one set of connections. */
export function createActivities(deps: ActivityDeps) {
  return {
    ...createRunActivities(deps),
    ...createTendSignIn(deps),
    ...createKeyringActivities(deps),
    ...createProbes(deps),
    ...createLlmTending(deps),
    generateContent: createGenerateContent(deps),
    failContent: createFailContent(deps),
    sendTest: createSendTest(deps),
    reconcileRecords: createReconcileRecords(deps),
    dispatchSlice: createDispatchSlice(deps),
    settleRunDoubts: createSettleRunDoubts(deps),
    applyStoredEvents: createApplyStoredEvents(deps),
    sendMessages: createSendMessages(deps),
    tendStandingRuns: createTendStandingRuns(deps),
    resealSlice: createResealSlice(deps),
    countSealedOtherwise: createCountSealedOtherwise(deps),
  };
}

export type Activities = ReturnType<typeof createActivities>;
