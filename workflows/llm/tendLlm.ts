import { setCurrentDetails, sleep } from '@temporalio/workflow';
import { llmProbes, records } from '../proxies';

// A run of this workflow lasts about as long as its Schedule's interval, so that the list of
// workflows stays short; the next one starts when this one is done.
const rounds = 19;
const everySeconds = 15;

/**
 * Settles calls of language models whose process is gone, forgets what is kept no longer, and reads the
 * vendors' lists of models once a day, or when the first key is there.
 */
export async function tendLlm(): Promise<void> {
  let lost = 0;
  let forgotten = 0;
  let models = '';
  for (let round = 1; round <= rounds; round += 1) {
    const done = await records.tendLlmCalls();
    lost += done.lost;
    forgotten += done.forgotten;
    // A vendor that does not answer is asked again by the next run.
    if (done.areModelsDue && models === '') {
      models = await readModels();
    }
    setCurrentDetails(
      `Round ${round} of ${rounds}: ${lost} calls of processes that are gone settled by what they could cost, ${forgotten} rows forgotten.${models}`,
    );
    if (!done.isMoreLeft) {
      await sleep(`${everySeconds}s`, { summary: 'Until the next look' });
    }
  }
}

async function readModels(): Promise<string> {
  try {
    const { models, repriced, gone } = await llmProbes.syncLlmModels();
    return models === 0
      ? ' No list of models could be read.'
      : ` ${models} models listed, ${repriced} with new prices, ${gone} gone.`;
  } catch {
    return ' The lists of models could not be read.';
  }
}
