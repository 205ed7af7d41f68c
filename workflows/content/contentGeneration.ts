import { CancellationScope, isCancellation, setCurrentDetails } from '@temporalio/workflow';
import type { GenerationRef, GenerationResult } from '../../activities/content/generateContent';
import { contentCalls, records } from '../proxies';

/** One set of variants that was asked for. */
export function contentWorkflowId(tenantId: string, generationId: string): string {
  return `content/${tenantId}/${generationId}`;
}

/**
 * Has variants of a text written. While no key for language models can serve it waits until one can;
 * what can never succeed ends it with the reason. Its history holds ids and counts, no text.
 */
export async function contentGeneration(ref: GenerationRef): Promise<GenerationResult> {
  try {
    return end(await contentCalls.generateContent(ref));
  } catch (error) {
    const isCancelled = isCancellation(error);
    const reason = isCancelled ? ('cancelled' as const) : ('llmUnavailable' as const);
    const result = await CancellationScope.nonCancellable(() =>
      records.failContent({ ...ref, reason }),
    );
    if (isCancelled) {
      throw error;
    }
    return end(result);
  }
}

function end(result: GenerationResult): GenerationResult {
  const { state, reason, variants, model, costMicros } = result;
  const cost = `$${(costMicros / 1e6).toFixed(6)}`;
  setCurrentDetails(
    state === 'done'
      ? `Done: ${variants} ${variants === 1 ? 'variant' : 'variants'} by ${model}, for ${cost}.`
      : `Failed: ${reason}, for ${cost}.`,
  );
  return result;
}
