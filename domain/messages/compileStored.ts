import type { Content } from './content';
import { type CompiledContent, compileContent } from './compileContent';

/** A campaign's content as it is stored, with the names its templates may show. */
export interface StoredContent {
  subject: string;
  preheader: string | null;
  html: string;
  text: string | null;
  campaignName: string;
  tenantName: string;
}

/**
 * Compiles stored content as a delivery does, so that a preview shows the same bytes.
 *
 * @throws ContentError when it cannot be sent as it is
 */
export function compileStored(
  stored: StoredContent,
  options: { trackClicks?: boolean; trackOpens?: boolean } = {},
): CompiledContent {
  const content: Content = {
    subject: stored.subject,
    preheader: stored.preheader ?? undefined,
    html: stored.html,
    text: stored.text ?? undefined,
  };
  return compileContent(content, {
    ...options,
    campaignName: stored.campaignName,
    tenantName: stored.tenantName,
  });
}
