import type { ApiAnswer, TestApi } from './api';
import type { TestTenant } from './factories';

export const campaignsPath = '/api/v1/campaigns';

/** A campaign as a caller writes it, with content that shows a field and tracks two links. */
export function campaignBody(overrides: Record<string, unknown> = {}) {
  return { name: 'Spring sale', content: contentBody(), ...overrides };
}

export function contentBody(overrides: Record<string, unknown> = {}) {
  return {
    fromName: 'Bells & Co',
    fromEmail: 'shop@example.com',
    subject: 'Hello {{ customer.firstName }}',
    html: '<p>Hi {{ customer.firstName }}</p><a href="https://shop.example/sale">Sale</a> <a href="https://shop.example/new">New</a>',
    ...overrides,
  };
}

/** Writes a campaign through the API and answers its data. */
export async function postCampaign(
  api: TestApi,
  { token }: Pick<TestTenant, 'token'>,
  overrides: Record<string, unknown> = {},
) {
  const answer = await api.send('post', campaignsPath, { token, json: campaignBody(overrides) });
  return dataOf(answer, 201);
}

/** The answer's data; fails the test with the whole answer when the status is another one. */
export function dataOf(answer: ApiAnswer, status: number) {
  if (answer.status !== status) {
    throw new Error(`expected ${status}, got ${answer.status}: ${answer.text}`);
  }
  return answer.body.data;
}
