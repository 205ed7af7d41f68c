import { z } from 'zod';
import { noControls } from '../../oneLine';
import { doubtPolicies } from '../../campaigns/types';
import { doubtEnds, lookUpAnswers, proofs } from './types';

const at = z.iso.datetime();
const count = z.int().min(0);

/** A call whose outcome is not known, was not told until the deadline, or was accepted twice. */
export const CampaignDoubt = z
  .object({
    dispatch: z.int().min(1),
    attempt: count.meta({ description: 'The newest one; what is known is known of it' }),
    state: z.string(),
    messages: count,
    reason: z.string().nullable().meta({ description: 'Why nobody knew what became of the call' }),
    status: z.int().nullable().meta({ description: 'The HTTP status, where one was answered' }),
    calledAt: at.nullable(),
    doubtUntil: at.nullable().meta({ description: 'When the policy decides' }),
    policy: z.enum(doubtPolicies),
    provenBy: z
      .enum(proofs)
      .nullable()
      .meta({ description: 'What told the outcome that is known by now' }),
    lookUps: z
      .object({
        times: count,
        lastAt: at.nullable(),
        nextAt: at.nullable(),
        answer: z.enum(lookUpAnswers).nullable(),
        reason: z.string().nullable(),
      })
      .meta({ description: 'What the vendor answered when it was asked for the call' }),
    acceptedAttempts: count.meta({ description: 'More than one: its messages went out twice' }),
  })
  .meta({ id: 'CampaignDoubt' });

const end = z.enum(doubtEnds).meta({
  description:
    '`accepted`: the messages are on their way. `notSent`: they surely are not, so they are sent in a new wave. `unconfirmed`: nobody will know, and nothing is sent again',
});
const reason = z
  .string()
  .trim()
  .min(1)
  .max(200)
  .regex(noControls, 'Must not hold line breaks or other control characters.')
  .meta({ description: 'How you know; it stands in the campaign’s log' });

export const SettleDoubt = z
  .strictObject({
    as: end,
    reason,
    attempt: z
      .int()
      .min(1)
      .max(2_147_483_647)
      .optional()
      .meta({ description: 'The attempt you looked at: 409 when there is a newer one' }),
  })
  .meta({ id: 'SettleDoubt' });

export const SettleDoubts = z
  .strictObject({
    as: end,
    reason,
    calledBefore: z.iso
      .datetime({ offset: true })
      .transform((text) => new Date(text))
      .optional()
      .meta({ description: 'Only calls made before; those you have not seen stay as they are' }),
  })
  .meta({ id: 'SettleDoubts' });

export const SettledDoubts = z
  .object({
    dispatches: count,
    messages: count,
    left: count.meta({ description: 'Calls of the run that are still in doubt' }),
  })
  .meta({ id: 'SettledDoubts' });
