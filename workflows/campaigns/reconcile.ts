import { setCurrentDetails, sleep } from '@temporalio/workflow';
import type { Reconciled } from '../../activities/campaigns/reconcileRecords';
import { reconciling } from '../proxies';
import { count } from './words';

// A run of this workflow lasts about as long as its Schedule's interval, so that the list of
// workflows stays short; the next one starts when this one is done.
const rounds = 28;
const everySeconds = 10;

/**
 * Compares the records with what runs: frees leases that ran out, settles doubts nobody watches,
 * starts workflows that a crash left unstarted, reminds those that missed being steered, and fails runs whose workflow was terminated.
 */
export async function reconcile(): Promise<void> {
  for (let round = 1; round <= rounds; round += 1) {
    const found = await reconciling.reconcileRecords();
    setCurrentDetails(
      `Round ${round} of ${rounds}: ${found.released} claims freed, ${found.doubted} calls in doubt, ` +
        `${found.started} workflows started, ${found.steered} reminded, ${found.failed} runs failed.` +
        describeDoubts(found),
    );
    await sleep(`${everySeconds}s`, { summary: 'Until the next look' });
  }
}

function describeDoubts({ doubtsOpen = 0, oldestDoubtSeconds = 0 }: Reconciled): string {
  return doubtsOpen === 0
    ? ''
    : `\n\n${count(doubtsOpen, 'call')} in doubt, the first for ${count(Math.floor(oldestDoubtSeconds / 60), 'minute')}.`;
}
