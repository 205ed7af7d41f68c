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

/** A campaign by text message, as a caller writes it. */
export function smsBody(content: Record<string, unknown> = {}) {
  return {
    name: 'Spring sale',
    channel: 'sms',
    content: { body: 'Hi {{ customer.firstName }}, the sale is on', ...content },
  };
}

/** A campaign by WhatsApp, with a template of two variables. */
export function whatsAppBody(content: Record<string, unknown> = {}) {
  return {
    name: 'Spring sale',
    channel: 'whatsapp',
    content: { message: templateMessage(), ...content },
  };
}

export function templateMessage(overrides: Record<string, unknown> = {}) {
  return {
    kind: 'template',
    id: 'spring_sale',
    language: 'en',
    variables: { '1': '{{ customer.firstName | default: "you" }}', '2': '{{ tenant.name }}' },
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
