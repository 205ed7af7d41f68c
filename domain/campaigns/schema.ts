import { z } from 'zod';
import { tag } from '../customers/schema';
import { normalizeTags } from '../customers/tags';
import { frequencyCap, quietHours } from './rules/schema';
import { accountChannels } from '../messages/accounts/types';
import { Content, changedContent, oneLine, writtenContents } from './contents/schema';
import { doubtPolicies } from './types';

const maxAudienceTags = 100;
const maxAudienceCustomers = 1_000;

const leastWindowMinutes = 5;
const mostWindowMinutes = 24 * 60;
const mostDoubtMinutes = 7 * 24 * 60;

export const campaignStatuses = [
  'draft',
  'scheduled',
  'sending',
  'paused',
  'completed',
  'cancelled',
  'failed',
] as const;

const tags = z.array(tag).max(maxAudienceTags).transform(normalizeTags);
const customerIds = z
  .array(z.uuid().transform((id) => id.toLowerCase()))
  .max(maxAudienceCustomers)
  .transform((ids) => [...new Set(ids)]);

const writtenAudience = z.strictObject({
  includeTags: tags
    .default([])
    .meta({ description: 'Customers with at least one of these; empty means no condition' }),
  excludeTags: tags.default([]).meta({ description: 'Customers with any of these are not in' }),
  customerIds: customerIds
    .default([])
    .meta({ description: 'Only these customers; empty means no condition' }),
});

const changedAudience = z.strictObject({
  includeTags: tags.optional(),
  excludeTags: tags.optional(),
  customerIds: customerIds.optional(),
});

const shared = { name: oneLine, audience: writtenAudience.prefault({}) };

/** A campaign with the content of its channel, which is mail when it says none. */
export const WriteCampaign = z
  .discriminatedUnion(
    'channel',
    [
      z.strictObject({
        ...shared,
        channel: z.literal('email').optional().default('email'),
        content: writtenContents.email,
      }),
      z.strictObject({
        ...shared,
        channel: z.literal('sms'),
        content: writtenContents.sms,
      }),
      z.strictObject({
        ...shared,
        channel: z.literal('whatsapp'),
        content: writtenContents.whatsapp,
      }),
    ],
    {
      error: ({ code }) =>
        code === 'invalid_union' ? `Is one of ${accountChannels.join(', ')}.` : undefined,
    },
  )
  .meta({ id: 'WriteCampaign' });

export const ChangeCampaign = z
  .strictObject({
    name: oneLine.optional(),
    audience: changedAudience.optional(),
    content: changedContent.optional(),
  })
  .meta({ id: 'ChangeCampaign' });

const windowMinutes = z
  .int()
  .min(leastWindowMinutes)
  .max(mostWindowMinutes)
  .default(60)
  .meta({ description: 'How long each wave stays open after its start' });

const sendingRules = {
  quietHours: quietHours.optional(),
  frequencyCap: frequencyCap.optional(),
};

const unknownZones = ['tenant', 'utc', 'skip'] as const;
const hourPasts = ['sendNow', 'nextDay', 'skip'] as const;

export const WriteSchedule = z
  .discriminatedUnion('kind', [
    z.strictObject({ kind: z.literal('now'), windowMinutes, ...sendingRules }),
    z.strictObject({
      kind: z.literal('instant'),
      at: z.iso
        .datetime({ offset: true })
        .transform((text) => new Date(text).toISOString())
        .meta({ description: 'RFC 3339, with its offset from UTC' }),
      windowMinutes,
      ...sendingRules,
    }),
    z.strictObject({
      kind: z.literal('localHour'),
      date: z.iso.date(),
      time: z.iso.time({ precision: -1 }).meta({ description: 'HH:mm on each customer’s clock' }),
      unknownZone: z
        .enum(unknownZones)
        .default('tenant')
        .meta({ description: 'What stands in for a customer’s zone that is not known' }),
      hourPast: z
        .enum(hourPasts)
        .default('nextDay')
        .meta({ description: 'What becomes of customers whose hour is over when it is planned' }),
      windowMinutes,
      ...sendingRules,
    }),
  ])
  .meta({ id: 'WriteSchedule' });

const doubtPolicy = z.enum(doubtPolicies).default('hold').meta({
  description:
    'What a call in doubt becomes after its deadline: `hold` makes it unconfirmed, `assumeAccepted` counts it as accepted, `sendAgain` sends it once more and may send it twice',
});
const doubtDeadlineMinutes = z.int().min(1).max(mostDoubtMinutes).default(1440);

export const PlanCampaign = z
  .strictObject({ schedule: WriteSchedule })
  .meta({ id: 'PlanCampaign' });

export const ScheduleCampaign = z
  .strictObject({ schedule: WriteSchedule, doubtPolicy, doubtDeadlineMinutes })
  .meta({ id: 'ScheduleCampaign' });

export const SendCampaign = z
  .strictObject({ windowMinutes, ...sendingRules, doubtPolicy, doubtDeadlineMinutes })
  .meta({ id: 'SendCampaign' });

export const RescheduleCampaign = z
  .strictObject({ schedule: WriteSchedule })
  .meta({ id: 'RescheduleCampaign' });

export const SteerCampaign = z
  .strictObject({ reason: z.string().trim().min(1).max(200).optional() })
  .meta({ id: 'SteerCampaign', description: 'The reason is shown to operators and in the log' });

const scheduleParts = { windowMinutes: z.int(), ...sendingRules };

export const Schedule = z
  .discriminatedUnion('kind', [
    z.object({ kind: z.literal('now'), ...scheduleParts }),
    z.object({ kind: z.literal('instant'), at: z.string(), ...scheduleParts }),
    z.object({
      kind: z.literal('localHour'),
      date: z.string(),
      time: z.string(),
      unknownZone: z.enum(unknownZones),
      hourPast: z.enum(hourPasts),
      ...scheduleParts,
    }),
  ])
  .meta({ id: 'Schedule' });

/** One occurrence of a campaign, with what was frozen for it. */
export const CampaignRun = z
  .object({
    id: z.uuid(),
    n: z.int(),
    state: z.enum(['planning', 'waiting', 'sending', 'completed', 'cancelled', 'failed']),
    gate: z
      .enum(['open', 'paused', 'closed'])
      .meta({ description: 'Whether calls to the provider may leave' }),
    gateReason: z.string().nullable(),
    failure: z.string().nullable(),
    schedule: Schedule,
    contentVersion: z.int(),
    planVersion: z.int(),
    doubtPolicy: z.enum(doubtPolicies),
    doubtDeadlineMinutes: z.number(),
    startsAt: z.iso
      .datetime()
      .nullable()
      .meta({ description: 'When the first wave opens; null until it is planned' }),
    completedAt: z.iso.datetime().nullable(),
    createdAt: z.iso.datetime(),
  })
  .meta({ id: 'CampaignRun' });

const audience = z
  .object({
    includeTags: z.array(z.string()),
    excludeTags: z.array(z.string()),
    customerIds: z.array(z.string()),
  })
  .meta({ id: 'Audience' });

/** A campaign as a list shows it: its subject stands for its content. */
export const CampaignSummary = z
  .object({
    id: z.uuid(),
    name: z.string(),
    channel: z.enum(accountChannels),
    status: z.enum(campaignStatuses),
    audience,
    subject: z.string().nullable().meta({ description: 'Of mail; null on other channels' }),
    run: CampaignRun.nullable().meta({ description: 'The newest one' }),
    createdAt: z.iso.datetime(),
    updatedAt: z.iso.datetime(),
  })
  .meta({ id: 'CampaignSummary' });

export const Campaign = z
  .object({
    ...CampaignSummary.omit({ subject: true }).shape,
    content: Content,
  })
  .meta({ id: 'Campaign' });

/** What a schedule would do now; nothing is kept of it. */
export const CampaignPlan = z
  .object({
    total: z.int().meta({ description: 'Everyone the audience names' }),
    planned: z.int().meta({ description: 'Those who would get a message' }),
    leftOut: z
      .record(z.string(), z.int())
      .meta({ description: 'Those who would not, counted by reason' }),
    waves: z.array(
      z.object({
        n: z.int(),
        startsAt: z.iso.datetime(),
        closesAt: z.iso.datetime(),
        waitsFor: z
          .enum(['quietHours'])
          .nullable()
          .meta({ description: 'What puts the wave off, where it would begin earlier' }),
        zones: z.array(z.string()),
        customers: z.int(),
      }),
    ),
  })
  .meta({ id: 'CampaignPlan' });
