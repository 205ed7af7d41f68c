import { z } from 'zod';
import { CampaignRun, campaignStatuses } from '../schema';

const at = z.iso.datetime();
const count = z.int().min(0);
const byReason = z.record(z.string(), count);

/** What became of messages. */
const outcomes = {
  planned: count.meta({ description: 'Messages of the plan: the sum of the outcomes' }),
  accepted: count.meta({ description: 'Taken by the provider' }),
  refused: count,
  inDoubt: count.meta({ description: 'The call left and its outcome is not known yet' }),
  unconfirmed: count.meta({ description: 'In doubt until the deadline; never sent again' }),
  cancelled: count,
  expired: count,
  open: count.meta({ description: 'Not sent yet' }),
};

const engagements = z.object({
  all: count.meta({ description: 'Times, by whomever: human, machine and bot' }),
  human: count.meta({ description: 'Times, by a person' }),
  machine: count.meta({
    description: 'Times, by the person’s own mail ahead of them (Apple Mail Privacy Protection)',
  }),
  bot: count.meta({ description: 'Times, by a scanner, a link checker, a script' }),
  unique: count.meta({ description: 'Messages, by a person at least once' }),
});

/** What happened after the call; a message can be in several. */
const facts = {
  delivered: count,
  bounced: count,
  complained: count,
  opened: count.meta({ description: 'Messages a person opened: opens.unique' }),
  clicked: count.meta({ description: 'Messages a person clicked in: clicks.unique' }),
  unsubscribed: count,
  opens: engagements,
  clicks: engagements,
};

const wave = {
  planVersion: z.int().min(1),
  n: z.int().min(1),
  kind: z
    .enum(['planned', 'late', 'again'])
    .meta({ description: 'late: what an earlier wave left; again: doubts that are sent again' }),
  startsAt: at,
  closesAt: at,
  zones: z.array(z.string()),
};

export const CampaignProgress = z
  .object({
    status: z.enum(campaignStatuses),
    run: CampaignRun,
    isEstimate: z
      .boolean()
      .meta({ description: 'The plan is not written yet: counts and waves are those of today' }),
    percent: z.number().min(0).max(100),
    nextRunAt: at.nullable(),
    waiting: z
      .object({
        for: z.enum([
          'resume',
          'lastCalls',
          'wave',
          'quietHours',
          'frequencyCap',
          'rateLimit',
          'provider',
          'events',
        ]),
        until: at.nullable(),
        detail: z.string().nullable(),
      })
      .nullable()
      .meta({
        description: 'Why no call leaves just now; null while calls leave or all has ended',
      }),
    counts: z.object({ ...outcomes, leftOut: count }),
    leftOut: byReason.meta({ description: 'Customers the plan left out, by reason' }),
    doubts: count.meta({ description: 'Calls in doubt' }),
    waves: z.array(
      z.object({
        ...wave,
        dispatches: count.meta({ description: 'Calls to the provider' }),
        ...outcomes,
        leftOut: count,
        waitsUntil: at.nullable().meta({
          description:
            'Calls that are due do not leave before; or a wave that is put off begins then',
        }),
        waitReason: z.string().nullable(),
        heldBack: count.meta({ description: 'Messages that a frequency cap keeps waiting' }),
        heldBackUntil: at.nullable().meta({ description: 'When the first of them may leave' }),
      }),
    ),
    asOf: at,
  })
  .meta({ id: 'CampaignProgress' });

export const CampaignMetrics = z
  .object({
    run: z.object({ id: z.uuid(), n: z.int().min(1) }),
    ...outcomes,
    ...facts,
    leftOut: z.object({
      planning: byReason.meta({ description: 'Customers without a message' }),
      call: byReason.meta({ description: 'Messages of the plan that were not sent in the end' }),
    }),
    waves: z.array(z.object({ ...wave, ...outcomes, ...facts, leftOut: count })),
    asOf: at,
  })
  .meta({ id: 'CampaignMetrics' });

export const CampaignLogEntry = z
  .object({
    id: z.uuid(),
    kind: z.string(),
    runId: z.uuid().nullable(),
    actor: z.object({
      kind: z.enum(['user', 'operator', 'system']),
      id: z.uuid().nullable(),
    }),
    detail: z.record(z.string(), z.unknown()),
    createdAt: at,
  })
  .meta({ id: 'CampaignLogEntry' });
