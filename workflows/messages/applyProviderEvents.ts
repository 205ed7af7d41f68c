import { continueAsNew, setCurrentDetails } from '@temporalio/workflow';
import { eventWork } from '../proxies';

const roundsBeforeNewHistory = 200;

/** Turns stored provider events into facts on the ledger, for ever; one of it runs. */
export async function applyProviderEvents(): Promise<void> {
  let applied = 0;
  for (let round = 0; round < roundsBeforeNewHistory; round += 1) {
    applied += await eventWork.applyStoredEvents();
    setCurrentDetails(`${applied} events applied since this history began.`);
  }
  await continueAsNew<typeof applyProviderEvents>();
}
