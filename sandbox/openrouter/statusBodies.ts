import { limitLeftOf, usedOf, type AccountState, type Bearer } from './accounts';
import { dollars } from './generations';

const noUse = { total: 0, daily: 0, weekly: 0, monthly: 0 };

/** The body of `GET /key`. */
export function keyBody(bearer: Bearer, now: number) {
  const key = bearer.kind === 'key' ? bearer.key : null;
  const used = key ? usedOf(key, now) : noUse;
  const left = key ? limitLeftOf(key, now) : null;
  const account = bearer.kind === 'key' ? bearer.key.account : bearer.account;
  return {
    data: {
      label: key ? `sk-or-v1-5a5...${key.last4}` : 'management',
      limit: key && key.limitMicros !== null ? dollars(key.limitMicros) : null,
      limit_remaining: left === null ? null : dollars(left),
      limit_reset: key?.limitReset ?? null,
      include_byok_in_limit: false,
      usage: dollars(used.total),
      usage_daily: dollars(used.daily),
      usage_weekly: dollars(used.weekly),
      usage_monthly: dollars(used.monthly),
      byok_usage: 0,
      byok_usage_daily: 0,
      byok_usage_weekly: 0,
      byok_usage_monthly: 0,
      is_free_tier: account.boughtMicros === 0,
      is_management_key: key === null,
      is_provisioning_key: key === null,
      expires_at: key?.expiresAt ?? null,
      creator_user_id: null,
      rate_limit: { requests: -1, interval: '10s', note: 'deprecated' },
    },
  };
}

/** The body of `GET /credits`. */
export function creditsBody(account: AccountState) {
  return {
    data: {
      total_credits: dollars(account.boughtMicros),
      total_usage: dollars(account.usedMicros),
    },
  };
}
