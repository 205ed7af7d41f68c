import type { z } from 'zod';
import type { contentFailures, contentWarnings, GenerateContent } from './schema';

export type ContentBrief = Pick<
  z.output<typeof GenerateContent>,
  'goal' | 'facts' | 'language' | 'channel' | 'count'
> & { readonly tone: string | null };

/** One text as a model wrote it; the subject is null where the channel has none. */
export interface WrittenVariant {
  readonly subject: string | null;
  readonly body: string;
}

export interface ContentVariant extends WrittenVariant {
  readonly warnings: readonly ContentWarning[];
}

export type ContentWarning = (typeof contentWarnings)[number];

export type ContentFailure = (typeof contentFailures)[number];
