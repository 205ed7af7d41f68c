import { newId } from '../../../lib/ids';
import { startTestApi, type TestApi } from '../../support/api';
import {
  campaignBody,
  campaignsPath,
  contentBody,
  dataOf,
  postCampaign,
} from '../../support/campaigns';
import { buildCustomer, buildTenant, type TestTenant } from '../../support/factories';

let api: TestApi;

beforeAll(async () => {
  api = await startTestApi();
});

afterAll(async () => {
  await api.stop();
});

function contentsOf(campaignId: string) {
  return api
    .db('campaign_contents')
    .where({ campaign_id: campaignId })
    .orderBy('version')
    .select('version', 'subject', 'links');
}

function send(method: string, path: string, { token }: TestTenant, json?: unknown) {
  return api.send(method, `${campaignsPath}${path}`, { token, json });
}

async function scheduled(tenant: TestTenant, overrides: Record<string, unknown> = {}) {
  const campaign = await postCampaign(api, tenant, overrides);
  const schedule = { kind: 'instant', at: new Date(Date.now() + 86_400_000).toISOString() };
  return dataOf(await send('post', `/${campaign.id}/schedule`, tenant, { schedule }), 202);
}

describe('a new campaign', () => {
  test('is a draft, answered as it is stored', async () => {
    const tenant = await buildTenant(api.deps);
    const customer = await buildCustomer(api.deps, { tenant });
    const answer = await send(
      'post',
      '',
      tenant,
      campaignBody({
        audience: {
          includeTags: [' loyal ', 'loyal'],
          customerIds: [customer.id.toUpperCase(), customer.id],
        },
        content: contentBody({ replyTo: 'help@Example.COM', preheader: ' ', text: null }),
      }),
    );

    const campaign = dataOf(answer, 201);
    expect(campaign).toEqual({
      id: expect.any(String),
      name: 'Spring sale',
      channel: 'email',
      status: 'draft',
      audience: { includeTags: ['loyal'], excludeTags: [], customerIds: [customer.id] },
      content: {
        version: 1,
        fromName: 'Bells & Co',
        fromEmail: 'shop@example.com',
        replyTo: 'help@example.com',
        subject: contentBody().subject,
        preheader: null,
        html: contentBody().html,
        text: null,
      },
      run: null,
      createdAt: expect.any(String),
      updatedAt: expect.any(String),
    });
    expect(answer.headers.get('Location')).toBe(`${campaignsPath}/${campaign.id}`);
    expect(dataOf(await send('get', `/${campaign.id}`, tenant), 200)).toEqual(campaign);
  });

  test('keeps the targets of its links, in the order of their tracking addresses', async () => {
    const tenant = await buildTenant(api.deps);
    const { id } = await postCampaign(api, tenant);
    expect(await contentsOf(id)).toMatchObject([
      { version: 1, links: ['https://shop.example/sale', 'https://shop.example/new'] },
    ]);
  });

  test('is written once for one Idempotency-Key', async () => {
    const { token } = await buildTenant(api.deps);
    const request = { token, json: campaignBody(), headers: { 'Idempotency-Key': 'spring' } };
    const [first, second] = [
      await api.send('post', campaignsPath, request),
      await api.send('post', campaignsPath, request),
    ];
    expect(second.body).toEqual(first.body);
    expect((await api.send('get', campaignsPath, { token })).body.meta.total).toBe(1);
  });

  test.each<[string, Record<string, unknown>, string, string]>([
    ['no name', { name: undefined }, 'name', 'required'],
    ['a blank name', { name: '  ' }, 'name', 'tooSmall'],
    ['a long name', { name: 'x'.repeat(101) }, 'name', 'tooBig'],
    ['a name of two lines', { name: 'a\nb' }, 'name', 'wrongFormat'],
    ['an unknown field', { colour: 'red' }, 'colour', 'unknownField'],
    ['another channel', { channel: 'pigeon' }, 'channel', 'notAllowed'],
    ['no content', { content: undefined }, 'content', 'required'],
    [
      'no sender',
      { content: contentBody({ fromEmail: undefined }) },
      'content.fromEmail',
      'required',
    ],
    [
      'a wrong sender',
      { content: contentBody({ fromEmail: 'shop' }) },
      'content.fromEmail',
      'wrongEmail',
    ],
    ['a wrong replyTo', { content: contentBody({ replyTo: 7 }) }, 'content.replyTo', 'wrongType'],
    [
      'a header in the sender',
      { content: contentBody({ fromName: 'a\r\nBcc: b' }) },
      'content.fromName',
      'wrongFormat',
    ],
    ['an unknown part', { content: contentBody({ amp: '' }) }, 'content.amp', 'unknownField'],
    [
      'an empty subject',
      { content: contentBody({ subject: ' ' }) },
      'content.subject',
      'wrongContent',
    ],
    ['an empty html', { content: contentBody({ html: '' }) }, 'content.html', 'wrongContent'],
    [
      'bad Liquid',
      { content: contentBody({ html: '<p>\n{% if %}' }) },
      'content.html',
      'wrongContent',
    ],
    [
      'an unknown field of a customer',
      { content: contentBody({ subject: '{{ customer.shoeSize }}' }) },
      'content.subject',
      'wrongContent',
    ],
    [
      'bad Liquid in the text',
      { content: contentBody({ text: '{{ customer.' }) },
      'content.text',
      'wrongContent',
    ],
    [
      'tags that are no list',
      { audience: { includeTags: 'loyal' } },
      'audience.includeTags',
      'wrongType',
    ],
    ['an empty tag', { audience: { excludeTags: [''] } }, 'audience.excludeTags.0', 'tooSmall'],
    [
      'an id that is none',
      { audience: { customerIds: ['7'] } },
      'audience.customerIds.0',
      'wrongFormat',
    ],
    [
      'an unknown customer',
      { audience: { customerIds: [newId()] } },
      'audience.customerIds',
      'unknownCustomer',
    ],
    ['an unknown condition', { audience: { segment: 'x' } }, 'audience.segment', 'unknownField'],
    ['a NUL', { content: contentBody({ html: '<p>\u0000</p>' }) }, 'content.html', 'nulCharacter'],
  ])('with %s is refused and not written', async (_, overrides, path, code) => {
    const tenant = await buildTenant(api.deps);
    const answer = await send('post', '', tenant, campaignBody(overrides));

    expect([answer.status, answer.body.code]).toEqual([422, 'validationFailed']);
    expect(answer.body.errors).toMatchObject([{ path, code }]);
    expect((await send('get', '', tenant)).body.meta.total).toBe(0);
  });

  test('says where bad Liquid stands, in every part at once', async () => {
    const tenant = await buildTenant(api.deps);
    const answer = await send(
      'post',
      '',
      tenant,
      campaignBody({
        content: contentBody({ subject: '{{ weather }}', html: '<p>Hi</p>\n  {% endfor %}' }),
      }),
    );
    expect(answer.body.errors).toEqual([
      {
        path: 'content.subject',
        code: 'wrongContent',
        message: expect.stringMatching(/^Line 1, column \d+: /),
      },
      {
        path: 'content.html',
        code: 'wrongContent',
        message: expect.stringMatching(/^Line 2, column 3: /),
      },
    ]);
  });

  test("names no customer of another tenant's", async () => {
    const [mine, theirs] = [await buildTenant(api.deps), await buildTenant(api.deps)];
    const customer = await buildCustomer(api.deps, { tenant: theirs });
    const answer = await send(
      'post',
      '',
      mine,
      campaignBody({ audience: { customerIds: [customer.id] } }),
    );
    expect([answer.status, answer.body.errors[0].code]).toEqual([422, 'unknownCustomer']);
  });
});

describe('the list', () => {
  test('shows each campaign with its subject and newest run, not its whole content', async () => {
    const tenant = await buildTenant(api.deps);
    const draft = await postCampaign(api, tenant, { name: 'Draft' });
    const sent = await scheduled(tenant, { name: 'Planned' });
    const { data, meta } = (await send('get', '?sort=name', tenant)).body;

    expect(meta).toMatchObject({ page: 1, total: 2, pages: 1 });
    const { content, ...plain } = draft;
    expect(data[0]).toEqual({ ...plain, subject: content.subject });
    expect(data[1]).toMatchObject({ id: sent.id, status: 'scheduled', run: { n: 1 } });
  });

  test('takes filters, fields, pages and cursors', async () => {
    const tenant = await buildTenant(api.deps);
    await postCampaign(api, tenant, { name: 'Spring 100% wool' });
    await postCampaign(api, tenant, { name: 'spring 100 bells' });
    await scheduled(tenant, { name: 'Autumn' });
    const names = async (query: string) => {
      const { body } = await send('get', `?sort=name&${query}`, tenant);
      return body.data.map(({ name }: { name: string }) => name);
    };

    expect(await names('')).toEqual(['Autumn', 'spring 100 bells', 'Spring 100% wool']);
    expect(await names('search=SPRING')).toHaveLength(2);
    expect(await names('search=100%25')).toEqual(['Spring 100% wool']);
    expect(await names('status=draft')).toHaveLength(2);
    expect(await names('status=scheduled')).toEqual(['Autumn']);
    expect(await names('status=completed')).toEqual([]);
    expect(await names('perPage=1&page=2')).toEqual(['spring 100 bells']);
    const first = await send('get', '?sort=name&perPage=2&fields=name,status', tenant);
    expect(first.body.data[0]).toEqual({ name: 'Autumn', status: 'scheduled' });
    const { nextCursor } = first.body.meta;
    expect(await names(`perPage=2&cursor=${nextCursor}`)).toEqual(['Spring 100% wool']);
  });

  test('has exactly the campaigns of a status that say so themselves', async () => {
    const tenant = await buildTenant(api.deps);
    const states = ['planning', 'waiting', 'sending', 'completed', 'cancelled', 'failed'];
    for (const state of states) {
      for (const gate of ['open', 'paused', 'closed']) {
        const { run } = await scheduled(tenant);
        await api.db('campaign_runs').where({ id: run.id }).update({ state, gate });
      }
    }
    await postCampaign(api, tenant);
    const all: { id: string; status: string }[] = (await send('get', '?perPage=200', tenant)).body
      .data;
    expect(all).toHaveLength(19);
    for (const status of new Set(all.map((each) => each.status))) {
      const found: { id: string }[] = (await send('get', `?perPage=200&status=${status}`, tenant))
        .body.data;
      const expected = all.filter((each) => each.status === status);
      expect([status, found.map(({ id }) => id)]).toEqual([status, expected.map(({ id }) => id)]);
    }
  });

  test.each([
    ['status=asleep', 'status', 'notAllowed'],
    ['sort=colour', 'sort', 'notAllowed'],
    ['fields=html', 'fields', 'unknownField'],
    ['perPage=201', 'perPage', 'tooBig'],
    ['colour=red', 'colour', 'unknownParameter'],
  ])('refuses ?%s', async (query, path, code) => {
    const answer = await send('get', `?${query}`, await buildTenant(api.deps));
    expect([answer.status, answer.body.errors]).toMatchObject([422, [{ path, code }]]);
  });
});

describe('a change', () => {
  test('by PATCH touches what it names, and null clears', async () => {
    const tenant = await buildTenant(api.deps);
    const before = await postCampaign(api, tenant, {
      audience: { includeTags: ['loyal'], excludeTags: ['new'] },
    });
    const answer = await send('patch', `/${before.id}`, tenant, {
      audience: { excludeTags: [] },
      content: { subject: 'Bye', fromName: null },
    });

    expect(dataOf(answer, 200)).toEqual({
      ...before,
      audience: { includeTags: ['loyal'], excludeTags: [], customerIds: [] },
      content: { ...before.content, subject: 'Bye', fromName: null },
      updatedAt: expect.any(String),
    });
    expect(await contentsOf(before.id)).toHaveLength(1);
  });

  test('by PUT writes everything anew', async () => {
    const tenant = await buildTenant(api.deps);
    const before = await postCampaign(api, tenant, { audience: { includeTags: ['loyal'] } });
    const html = '<a href="https://shop.example/other">Other</a>';
    const { fromEmail, subject } = contentBody();
    const answer = await send('put', `/${before.id}`, tenant, {
      name: 'Summer',
      content: { fromEmail, subject, html },
    });

    expect(dataOf(answer, 200)).toMatchObject({
      name: 'Summer',
      audience: { includeTags: [] },
      content: { version: 1, fromName: null, html },
    });
    expect(await contentsOf(before.id)).toMatchObject([{ links: ['https://shop.example/other'] }]);
  });

  test('that changes nothing leaves no trace', async () => {
    const tenant = await buildTenant(api.deps);
    const before = await postCampaign(api, tenant);
    const same = { name: before.name, content: { subject: before.content.subject } };
    expect(dataOf(await send('patch', `/${before.id}`, tenant, same), 200)).toEqual(before);
    expect(await api.db('campaign_log').where({ campaign_id: before.id })).toHaveLength(1);
  });

  test('is refused to one who read an older campaign', async () => {
    const tenant = await buildTenant(api.deps);
    const { token } = tenant;
    const { id } = await postCampaign(api, tenant);
    const path = `${campaignsPath}/${id}`;
    const etag = (await api.send('get', path, { token })).headers.get('ETag') ?? '';
    const rename = (name: string) =>
      api.send('patch', path, { token, json: { name }, headers: { 'If-Match': etag } });

    expect((await rename('First')).status).toBe(200);
    expect((await rename('Second')).status).toBe(412);
    expect(dataOf(await api.send('get', path, { token }), 200).name).toBe('First');
    const known = await api.send('get', path, {
      token,
      headers: {
        'If-None-Match': (await api.send('get', path, { token })).headers.get('ETag') ?? '',
      },
    });
    expect(known.status).toBe(304);
  });

  test.each([
    [{ content: { html: '{% if %}' } }, 'content.html', 'wrongContent'],
    [{ content: { subject: null } }, 'content.subject', 'wrongType'],
    [{ audience: { customerIds: [newId()] } }, 'audience.customerIds', 'unknownCustomer'],
    [{ channel: 'email' }, 'channel', 'unknownField'],
    [{ name: null }, 'name', 'wrongType'],
  ])('to %j is refused and changes nothing', async (json, path, code) => {
    const tenant = await buildTenant(api.deps);
    const before = await postCampaign(api, tenant);
    const answer = await send('patch', `/${before.id}`, tenant, json);
    expect([answer.status, answer.body.errors]).toMatchObject([422, [{ path, code }]]);
    expect(dataOf(await send('get', `/${before.id}`, tenant), 200)).toEqual(before);
  });

  test('of audience or content waits for the end of an open run, of the name it does not', async () => {
    const tenant = await buildTenant(api.deps);
    const { id } = await scheduled(tenant);
    for (const json of [{ content: { subject: 'Late' } }, { audience: { includeTags: ['x'] } }]) {
      const refused = await send('patch', `/${id}`, tenant, json);
      expect([refused.status, refused.body.code]).toEqual([409, 'campaignIsScheduled']);
    }
    const whole = await send(
      'put',
      `/${id}`,
      tenant,
      campaignBody({ content: contentBody({ text: 'x' }) }),
    );
    expect([whole.status, whole.body.code]).toEqual([409, 'campaignIsScheduled']);
    expect(await contentsOf(id)).toMatchObject([{ version: 1, subject: contentBody().subject }]);

    const renamed = await send('put', `/${id}`, tenant, campaignBody({ name: 'Another name' }));
    expect(dataOf(renamed, 200)).toMatchObject({ name: 'Another name', status: 'scheduled' });
  });

  test('of content that a run was sent with makes a version beside it', async () => {
    const tenant = await buildTenant(api.deps);
    const { id, run } = await scheduled(tenant);
    await api
      .db('campaign_runs')
      .where({ id: run.id })
      .update({ state: 'cancelled', gate: 'closed' });
    const change = (subject: string) => send('patch', `/${id}`, tenant, { content: { subject } });

    expect(dataOf(await change('Second'), 200)).toMatchObject({
      status: 'cancelled',
      content: { version: 2, subject: 'Second' },
      run: { contentVersion: 1 },
    });
    expect(dataOf(await change('Third'), 200).content.version).toBe(2);
    expect(await contentsOf(id)).toMatchObject([
      { version: 1, subject: contentBody().subject },
      { version: 2, subject: 'Third' },
    ]);
  });
});

describe('a removal', () => {
  test('takes a draft with all it says', async () => {
    const tenant = await buildTenant(api.deps);
    const { id } = await postCampaign(api, tenant);
    expect((await send('delete', `/${id}`, tenant)).status).toBe(204);
    expect((await send('get', `/${id}`, tenant)).status).toBe(404);
    expect(await contentsOf(id)).toEqual([]);
  });

  test('leaves a campaign that ever ran', async () => {
    const tenant = await buildTenant(api.deps);
    const { id, run } = await scheduled(tenant);
    await api
      .db('campaign_runs')
      .where({ id: run.id })
      .update({ state: 'completed', gate: 'closed' });
    const refused = await send('delete', `/${id}`, tenant);
    expect([refused.status, refused.body.code]).toEqual([409, 'campaignHasRun']);
    expect((await send('get', `/${id}`, tenant)).status).toBe(200);
  });
});

test("another tenant's campaign is not there, whatever is asked of it", async () => {
  const [mine, theirs] = [await buildTenant(api.deps), await buildTenant(api.deps)];
  const before = await postCampaign(api, theirs);
  const asked: [string, string, unknown?][] = [
    ['get', ''],
    ['put', '', campaignBody()],
    ['patch', '', { name: 'Mine' }],
    ['delete', ''],
    ['post', '/plan', { schedule: { kind: 'now' } }],
    ['post', '/schedule', { schedule: { kind: 'now' } }],
    ['post', '/send', {}],
    ['post', '/pause', {}],
    ['post', '/resume', {}],
    ['post', '/cancel', {}],
    ['post', '/reschedule', { schedule: { kind: 'now' } }],
  ];
  for (const id of [before.id, newId(), 'spring']) {
    for (const [method, path, json] of asked) {
      const answer = await send(method, `/${id}${path}`, mine, json);
      expect([method, path, answer.status, answer.body.code]).toEqual([
        method,
        path,
        404,
        'campaignNotFound',
      ]);
    }
  }
  expect((await send('get', '', mine)).body.data).toEqual([]);
  expect(dataOf(await send('get', `/${before.id}`, theirs), 200)).toEqual(before);
});
