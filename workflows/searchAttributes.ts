import { defineSearchAttributeKey, SearchAttributeType } from '@temporalio/common';

/** What operators filter workflows by. Only opaque ids, states, instants and counts. */
export const searchAttributes = {
  tenant: defineSearchAttributeKey('CarillonTenant', SearchAttributeType.KEYWORD),
  kind: defineSearchAttributeKey('CarillonKind', SearchAttributeType.KEYWORD),
  status: defineSearchAttributeKey('CarillonStatus', SearchAttributeType.KEYWORD),
  campaign: defineSearchAttributeKey('CarillonCampaign', SearchAttributeType.KEYWORD),
  channel: defineSearchAttributeKey('CarillonChannel', SearchAttributeType.KEYWORD),
  nextRunAt: defineSearchAttributeKey('CarillonNextRunAt', SearchAttributeType.DATETIME),
  recipients: defineSearchAttributeKey('CarillonRecipients', SearchAttributeType.INT),
  failed: defineSearchAttributeKey('CarillonFailed', SearchAttributeType.INT),
  tags: defineSearchAttributeKey('CarillonTags', SearchAttributeType.KEYWORD_LIST),
};
