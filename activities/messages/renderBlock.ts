import { setImmediate as otherEvents } from 'node:timers/promises';
import type { Recipient } from '../../models/messages/recipients';
import type { OneMessage } from './accountSenders';

/** The messages of a block; of those in `failed` the content cannot be made. */
export interface RenderedBlock {
  messages: { n: number; message: OneMessage }[];
  failed: number[];
  tookMs: number;
}

/** For so long a block is rendered in one go. */
export const inOneGoMs = 25;

/**
 * Renders a block. A content may cost milliseconds a recipient; other lanes and their heartbeats take
 * turns with it.
 */
export async function renderBlock(
  recipients: readonly Recipient[],
  render: (recipient: Recipient) => OneMessage | null,
): Promise<RenderedBlock> {
  const messages: RenderedBlock['messages'] = [];
  const failed: number[] = [];
  const startedAtMs = performance.now();
  let pauseAtMs = startedAtMs + inOneGoMs;
  for (const recipient of recipients) {
    const message = render(recipient);
    if (message !== null) {
      messages.push({ n: recipient.n, message });
    } else if (recipient.addressHash !== null) {
      failed.push(recipient.n);
    }
    if (performance.now() > pauseAtMs) {
      await otherEvents();
      pauseAtMs = performance.now() + inOneGoMs;
    }
  }
  return { messages, failed, tookMs: performance.now() - startedAtMs };
}
