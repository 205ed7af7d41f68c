import { SearchAttributeType } from '@temporalio/common';
import { searchAttributes } from '../../workflows/searchAttributes';

/**
 * The server's dynamic configuration, the same as deploy/temporal-dynamic-config.yaml. One shard
 * polls 20 times a second by default, which adds up to 50 ms to every hop of a workflow; and ids
 * live in columns of 255 characters.
 */
export const developmentSettings = {
  'history.transferProcessorMaxPollRPS': 2000,
  'history.timerProcessorMaxPollRPS': 2000,
  'history.transferProcessorMaxPollHostRPS': 5000,
  'history.timerProcessorMaxPollHostRPS': 5000,
  'limit.maxIDLength': 255,
} as const;

// As Temporal's command line and its API spell them.
const kindNames = {
  [SearchAttributeType.TEXT]: 'Text',
  [SearchAttributeType.KEYWORD]: 'Keyword',
  [SearchAttributeType.INT]: 'Int',
  [SearchAttributeType.DOUBLE]: 'Double',
  [SearchAttributeType.BOOL]: 'Bool',
  [SearchAttributeType.DATETIME]: 'Datetime',
  [SearchAttributeType.KEYWORD_LIST]: 'KeywordList',
} as const;

/** Every search attribute the workflows use, with its kind: `['CarillonTenant', 'Keyword']`. */
export const customSearchAttributes = Object.values(searchAttributes).map(
  (key) => [key.name, kindNames[key.type]] as const,
);
