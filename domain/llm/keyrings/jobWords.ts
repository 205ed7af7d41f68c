import { becauseOf } from './explain';
import type { HealthSeen, KeyringSeen } from './types';
import { instantWords } from './words';

interface Shown {
  seen: KeyringSeen;
  nowMs: number;
}

/** "Key demo-2", "Model acme/one with account Acme". */
export function subjectWords({ seen }: Pick<Shown, 'seen'>, row: HealthSeen): string {
  switch (row.scope) {
    case 'key':
      return `Key ${seen.keys.find(({ id }) => id === row.keyId)?.label ?? row.keyId}`;
    case 'account':
      return `Account ${seen.account.name}`;
    case 'accountModel':
      return `Model ${row.model} with account ${seen.account.name}`;
    case 'model':
      return `Model ${row.model}`;
    case 'platform':
      return 'The vendor';
  }
}

const stateVerbs = { cooling: 'cools', suspended: 'is suspended', draining: 'drains' } as const;

/** "Key demo-2 cools until 14:02:10 UTC: 429, the vendor limits the account (X-RateLimit-Reset)". */
export function whyOf({ nowMs }: Pick<Shown, 'nowMs'>, row: HealthSeen, subject: string): string {
  const until = row.until === null ? '' : ` until ${instantWords(row.until, nowMs)}`;
  const isAskedAgain = row.until === null && row.nextCheckAt !== null;
  const again = isAskedAgain ? `, asked again ${instantWords(row.nextCheckAt ?? '', nowMs)}` : '';
  return `${subject} ${stateVerbs[row.state]}${until}: ${becauseOf(row)}${again}`;
}
