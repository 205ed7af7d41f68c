import type { z } from 'zod';
import type {
  Campaign as CampaignShape,
  CampaignPlan as PlanShape,
  CampaignRun as RunShape,
  CampaignSummary as SummaryShape,
  Schedule as ScheduleShape,
} from '../../domain/campaigns/schema';
import { campaignStatus, type Schedule } from '../../domain/campaigns/types';
import type { WavePlan } from '../../domain/campaigns/waves';
import type { AudienceCount } from '../../models/campaigns/audience';
import type { Campaign } from '../../models/campaigns/Campaign';
import type { ContentVersion } from '../../models/campaigns/ContentVersion';
import { contentValuesOf } from '../../models/campaigns/contentValues';
import type { CampaignRun } from '../../models/campaigns/runs';

export function presentCampaign(campaign: Campaign): z.output<typeof CampaignShape> {
  return { ...presentPlain(campaign), content: presentContent(campaign.content) };
}

export function presentSummary(campaign: Campaign): z.output<typeof SummaryShape> {
  return { ...presentPlain(campaign), subject: campaign.content.subject };
}

export function presentRun(run: ShownRun): z.output<typeof RunShape> {
  return {
    id: run.id,
    n: run.n,
    state: run.state,
    gate: run.gate,
    gateReason: run.gateReason,
    failure: run.failure,
    schedule: presentSchedule(run.schedule),
    contentVersion: run.contentVersion,
    planVersion: run.planVersion,
    doubtPolicy: run.doubtPolicy,
    doubtDeadlineMinutes: run.doubtDeadlineMs / 60_000,
    startsAt: run.startsAt?.toISOString() ?? null,
    completedAt: run.completedAt?.toISOString() ?? null,
    createdAt: run.createdAt.toISOString(),
  };
}

type ShownRun = Omit<CampaignRun, 'steering' | 'audience' | 'planSealedAt' | 'leftOut'>;

export function presentPlan(count: AudienceCount, plan: WavePlan): z.output<typeof PlanShape> {
  const leftOut = Object.entries({ ...count.leftOut, ...plan.leftOut });
  return {
    total: count.total,
    planned: plan.waves.reduce((sum, wave) => sum + wave.customers, 0),
    leftOut: Object.fromEntries(leftOut.filter(([, customers]) => customers > 0)),
    waves: plan.waves.map(({ n, startsAt, closesAt, waitsFor, zones, customers }) => ({
      n,
      startsAt: startsAt.toISOString(),
      closesAt: closesAt.toISOString(),
      waitsFor: waitsFor === 'quietHours' ? waitsFor : null,
      zones,
      customers,
    })),
  };
}

function presentContent(row: ContentVersion): z.output<typeof CampaignShape>['content'] {
  const { version } = row;
  const content = contentValuesOf(row);
  switch (content.channel) {
    case 'email': {
      const { channel: _, links: __, ...shown } = content;
      return { version, ...shown };
    }
    case 'sms':
      return { version, sender: content.sender, body: content.body };
    case 'whatsapp':
      return { version, sender: content.sender, message: content.message };
  }
}

function presentPlain(campaign: Campaign) {
  const { includeTags, excludeTags, customerIds } = campaign.audience;
  return {
    id: campaign.id,
    name: campaign.name,
    channel: campaign.channel,
    status: campaignStatus(campaign.run),
    audience: { includeTags, excludeTags, customerIds },
    run: campaign.run === null ? null : presentRun(campaign.run),
    createdAt: campaign.createdAt.toISOString(),
    updatedAt: campaign.updatedAt.toISOString(),
  };
}

function presentSchedule(schedule: Schedule): z.output<typeof ScheduleShape> {
  return { ...schedule, windowMinutes: schedule.windowMinutes ?? 60 };
}
