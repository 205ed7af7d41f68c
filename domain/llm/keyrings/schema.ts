import { z } from 'zod';
import { noControls } from '../../oneLine';
import { apiKey } from '../accounts/schema';
import { healthScopes } from '../types';
import { shownStates } from './explain';

const reason = z.string().trim().min(1).max(200).regex(noControls, 'Must be one line.').optional();

export const SteerLlmKey = z
  .strictObject({ reason: reason.meta({ description: 'Shown to whoever asks why' }) })
  .meta({ id: 'SteerLlmKey' });

export const SteerLlmAccount = z
  .strictObject({ reason: reason.meta({ description: 'Shown to whoever asks why' }) })
  .meta({ id: 'SteerLlmAccount' });

export const ReplaceLlmKey = z
  .strictObject({
    secret: apiKey.meta({ description: 'The new key; it is never shown again' }),
    label: z.string().trim().min(1).max(100).regex(noControls, 'Must be one line.').optional(),
    reason,
  })
  .meta({ id: 'ReplaceLlmKey' });

const instant = z.iso.datetime().nullable();

const status = {
  keyId: z.uuid(),
  label: z.string(),
  accountId: z.uuid(),
  account: z.string().meta({ description: 'The name of its account' }),
  state: z.enum(shownStates).meta({
    description: 'The worst of what a person said, and of what its calls and its account’s showed',
  }),
  scope: z.enum(healthScopes).nullable().meta({ description: 'What holds it, where calls do' }),
  reason: z.string().nullable().meta({ description: 'A kind of failure, or a person’s words' }),
  until: instant,
  nextCheckAt: instant.meta({ description: 'When its vendor is asked next' }),
  text: z.string().meta({ description: 'All of it in one sentence' }),
};

export const LlmKeyStatus = z.object(status).meta({ id: 'LlmKeyStatus' });

export const LlmKeyExplained = z
  .object({
    ...status,
    history: z
      .array(
        z.object({
          at: z.iso.datetime(),
          scope: z.enum(healthScopes),
          from: z.string(),
          to: z.string(),
          reason: z.string().nullable(),
          until: instant,
          by: z
            .enum(['call', 'probe', 'timer', 'user', 'system'])
            .meta({ description: 'What or who brought it about' }),
          userId: z.uuid().nullable(),
        }),
      )
      .meta({ description: 'What happened to it and its account, the newest first' }),
  })
  .meta({ id: 'LlmKeyExplained' });
