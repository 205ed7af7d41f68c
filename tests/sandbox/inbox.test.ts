import type { Sandbox } from '../../sandbox';
import { api, closeAll, mailRequest, openSandbox, sendRaw } from './support';

let sandbox: Sandbox;

beforeAll(async () => {
  sandbox = await openSandbox();
  await sendRaw(
    sandbox,
    mailRequest({
      subject: 'Spring for -name-',
      reply_to: { email: 'help@example.com' },
      headers: { 'X-Campaign': 'spring', 'List-Unsubscribe': '<https://example.com/u/all>' },
      custom_args: { carillon_r: 'run-1', carillon_d: 'd-1' },
      personalizations: [
        {
          to: [{ email: 'ana@example.com', name: 'Ana' }],
          substitutions: { '-name-': 'Ana' },
          custom_args: { carillon_m: '1', carillon_d: 'own' },
          headers: { 'List-Unsubscribe': '<https://example.com/u/1>' },
        },
        {
          to: [{ email: 'diana+bounce@example.com' }],
          substitutions: { '-name-': '<script>alert(1)</script>' },
          custom_args: { carillon_m: '2' },
        },
      ],
      content: [
        { type: 'text/plain', value: 'Hello -name-' },
        {
          type: 'text/html',
          value:
            '<h1>Hello -name-</h1><a href="https://example.com/a?x=1&amp;y=2">See <b>it</b></a><a href="javascript:alert(1)">no</a>',
        },
      ],
      attachments: [{ content: 'aGVsbG8=', filename: 'hello.txt', type: 'text/plain' }],
    }),
  );
  for (const n of [1, 2, 3]) {
    await sendRaw(sandbox, mailRequest({ subject: `Other ${n}` }));
  }
});
afterAll(closeAll);

interface List {
  total: number;
  items: { id: string; to: string; subject: string; toName: string | null; outcome: string }[];
}
const list = (query: string) => api<List>(sandbox, `/messages${query}`);
const firstId = async (query: string) => (await list(query)).items[0]?.id ?? '';

test.each([
  ['', 5],
  ['?search=SPRING', 2],
  ['?search=diana', 1],
  ['?search=ana%40example.com', 4],
  ['?to=ANA@example.com', 4],
  ['?to=ana', 0],
  ['?subject=other', 3],
  ['?run=run-1', 2],
  ['?run=run-1&search=bounce', 1],
  ['?search=nobody', 0],
])('the list for %p holds %p', async (query, total) => {
  const found = await list(query);
  expect(found.total).toBe(total);
  expect(found.items).toHaveLength(total);
});

test('pages go from the newest to the oldest', async () => {
  const pages = [
    await list('?perPage=2'),
    await list('?perPage=2&page=2'),
    await list('?perPage=2&page=3'),
  ];
  const subjects = pages.flatMap((page) => page.items.map((item) => item.subject));
  expect(subjects.slice(0, 3)).toEqual(['Other 3', 'Other 2', 'Other 1']);
  expect(subjects).toHaveLength(5);
  expect((await fetch(`${sandbox.url}/api/messages?page=0`)).status).toBe(400);
  expect((await fetch(`${sandbox.url}/api/messages?perPage=2000`)).status).toBe(400);
});

test('a message is shown with substitutions made and its own values over the common ones', async () => {
  const message = await api(sandbox, `/messages/${await firstId('?search=spring%20for%20ana')}`);
  expect(message).toMatchObject({
    subject: 'Spring for Ana',
    recipient: { email: 'ana@example.com', name: 'Ana' },
    from: { email: 'shop@example.com', name: 'Shop' },
    replyTo: { email: 'help@example.com' },
    text: 'Hello Ana',
    html: expect.stringContaining('<h1>Hello Ana</h1>'),
    headers: { 'X-Campaign': 'spring', 'List-Unsubscribe': '<https://example.com/u/1>' },
    customArgs: { carillon_r: 'run-1', carillon_d: 'own', carillon_m: '1' },
    links: [
      { url: 'https://example.com/a?x=1&y=2', text: 'See it' },
      { url: 'javascript:alert(1)', text: 'no' },
    ],
    attachments: [{ filename: 'hello.txt', type: 'text/plain', bytes: 5 }],
    outcome: 'delivered',
    raw: { personalizations: [{ to: [{ email: 'ana@example.com', name: 'Ana' }] }] },
  });
});

test('an id that is not there is not found', async () => {
  for (const id of ['nothing', 'x.0', `${(await firstId('')).split('.')[0]}.7`]) {
    expect((await fetch(`${sandbox.url}/api/messages/${id}`)).status).toBe(404);
    expect((await fetch(`${sandbox.url}/messages/${id}`)).status).toBe(404);
    expect((await fetch(`${sandbox.url}/messages/${id}/html`)).status).toBe(404);
  }
});

async function page(path: string) {
  const response = await fetch(sandbox.url + path);
  return {
    status: response.status,
    policy: response.headers.get('content-security-policy') ?? '',
    text: await response.text(),
  };
}

test('the page lists messages, keeps the search and escapes what mails hold', async () => {
  const { status, policy, text } = await page('/?search=spring');
  expect(status).toBe(200);
  expect(policy).toContain("default-src 'none'");
  expect(policy).not.toContain('unsafe-inline');
  expect(text).toContain('2 found');
  expect(text).toContain('Spring for Ana');
  expect(text).toContain('&lt;script&gt;alert(1)&lt;/script&gt;');
  expect(text).not.toContain('<script>alert');
  expect(text).toMatch(/href="\/messages\/[^"]+\?search=spring"/);
  expect(text).not.toMatch(/ on\w+=|<style|style="/);
});

test('the page answers with its assets', async () => {
  for (const path of ['/assets/inbox.css', '/assets/inbox.js', '/assets/icon.svg']) {
    expect((await page(path)).status).toBe(200);
  }
});

test('every way to look at a message works', async () => {
  const id = await firstId('?to=ana@example.com&subject=spring');
  expect((await page(`/messages/${id}`)).text).toContain(`src="/messages/${id}/html"`);
  expect((await page(`/messages/${id}?view=text`)).text).toContain('Hello Ana');
  const links = (await page(`/messages/${id}?view=links`)).text;
  expect(links).toContain('https://example.com/a?x=1&amp;y=2');
  expect(links).not.toContain('href="javascript:');
  expect((await page(`/messages/${id}?view=headers`)).text).toContain('List-Unsubscribe');
  expect((await page(`/messages/${id}?view=raw`)).text).toContain('&quot;personalizations&quot;');
});

test('the HTML of a mail is served where it can do nothing', async () => {
  const { policy, text } = await page(`/messages/${await firstId('?search=diana')}/html`);
  expect(text).toContain('<script>alert(1)</script>');
  expect(policy).toContain("default-src 'none'");
  expect(policy).toContain('sandbox');
  expect(policy).not.toContain('allow-scripts');
  expect(policy).not.toContain('allow-same-origin');
});

test('health is answered', async () => {
  expect(await page('/health')).toMatchObject({ status: 200 });
});
