import { campaignBody, smsBody } from '../../tests/support/campaigns';
import type { TestTenant } from '../../tests/support/factories';

/** Writes, as its owner would, a tenant's customers, campaigns, messages and accounts. */
export async function furnish(
  ground: { apiUrl: string; sandboxUrl: string },
  { token }: Pick<TestTenant, 'token'>,
): Promise<void> {
  const post = (path: string, body: unknown) => request(ground.apiUrl, { token, path, body });
  for (let n = 0; n < 5; n += 1) {
    const phone = `+4915112345${n}00`;
    await post('/customers', { email: `c${n}@example.com`, phone, firstName: 'Ana' });
  }
  await post('/suppressions', { address: 'gone@example.com' });
  await post('/messages', {
    channel: 'email',
    to: { email: 'someone@example.com' },
    from: { email: 'shop@example.com' },
    content: { subject: 'Hello', html: '<p>Hello</p>' },
  });
  const { id } = await post('/campaigns', campaignBody());
  await post('/campaigns', smsBody());
  await post(`/campaigns/${id}/send`, {});
}

async function request(
  apiUrl: string,
  { token, path, body }: { token: string; path: string; body: unknown },
): Promise<{ id: string }> {
  const response = await fetch(`${apiUrl}/api/v1${path}`, {
    method: 'POST',
    headers: { Authorization: `Bearer ${token}`, 'Content-Type': 'application/json' },
    body: JSON.stringify(body),
  });
  const answer = await response.text();
  if (!response.ok) {
    throw new Error(`POST ${path} was answered ${response.status}: ${answer}`);
  }
  return JSON.parse(answer).data;
}
