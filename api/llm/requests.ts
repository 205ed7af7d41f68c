import { z } from 'zod';
import { LlmAccount } from '../../domain/llm/accounts/schema';
import { LlmKey } from '../../domain/llm/keys/schema';
import { keyStandings, llmVendors } from '../../domain/llm/types';
import { llmAccountSorts } from '../../models/llm/accounts';
import { llmKeySorts } from '../../models/llm/keys';
import { listQuery } from '../lists';

export const ListLlmAccounts = listQuery({
  item: LlmAccount,
  sorts: llmAccountSorts,
  defaultSort: '-createdAt',
  filters: { vendor: z.enum(llmVendors).optional() },
});

export const ListLlmKeys = listQuery({
  item: LlmKey,
  sorts: llmKeySorts,
  defaultSort: '-createdAt',
  filters: { accountId: z.uuid().optional(), standing: z.enum(keyStandings).optional() },
});
