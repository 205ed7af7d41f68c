import { referenceText } from '../reference';
import type { MessageReference } from '../types';

export { readReference as readCallbackKey } from '../reference';

/** The query parameter of a status callback that carries our reference. */
export const callbackKeyName = 'k';

/** The callback address of one message. Twilio echoes nothing else that is ours. */
export function callbackUrlOf(statusCallbackUrl: string, reference: MessageReference): string {
  const url = new URL(statusCallbackUrl);
  url.searchParams.set(callbackKeyName, referenceText(reference));
  return url.toString();
}
