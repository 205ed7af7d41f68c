import { readMetaWebhook } from '../../../providers/meta/events';
import { referenceText } from '../../../providers/reference';

const receivedAt = new Date('2026-11-21T09:30:20.000Z');
const at = Math.floor(receivedAt.getTime() / 1_000) - 30;
const id = 'wamid.HBgLMTY0NjcwNDM1OTUVAgARGBI1RjQyNUE3NEYxMzAzMzQ5MkEA';
const phoneNumberId = '106540352242922';
const reference = {
  runId: '019a9d00-0000-7000-8000-000000000001',
  dispatchN: 4,
  attempt: 2,
  messageN: 901,
};
const metadata = { display_phone_number: '15550783881', phone_number_id: phoneNumberId };
const nothing = { unreadable: 0, unknownKind: 0, notOurs: 0 };

const bodyOf = (...values: object[]) => ({
  object: 'whatsapp_business_account',
  entry: [
    {
      id: '102290129340398',
      changes: values.map((value) => ({
        field: 'messages',
        value: { messaging_product: 'whatsapp', metadata, ...value },
      })),
    },
  ],
});
const statusOf = (changes: object = {}) => ({
  id,
  status: 'delivered',
  timestamp: String(at),
  recipient_id: '16505551234',
  biz_opaque_callback_data: referenceText(reference),
  ...changes,
});
const read = (body: unknown) => readMetaWebhook(body, receivedAt);

function readStatus(changes: object = {}) {
  const { numbers, skipped } = read(bodyOf({ statuses: [statusOf(changes)] }));
  return { event: numbers[0]?.events[0], skipped };
}

describe('a status', () => {
  test('becomes an event of the message it was sent for, and says whose number', () => {
    expect(read(bodyOf({ statuses: [statusOf()] }))).toEqual({
      numbers: [
        {
          phoneNumberId,
          inbound: [],
          events: [
            {
              providerEventId: `${id}:delivered`,
              source: 'meta',
              ...reference,
              kind: 'delivered',
              occurredAt: new Date(at * 1_000),
              suppress: null,
              machine: false,
              detail: { status: 'delivered', providerMessageId: id, type: 'whatsapp' },
            },
          ],
        },
      ],
      skipped: nothing,
    });
  });

  test.each([
    ['sent', 'processed'],
    ['delivered', 'delivered'],
    ['read', 'opened'],
    ['played', 'opened'],
    ['failed', 'dropped'],
    ['deleted', 'processed'],
    ['warning', 'processed'],
  ])('%s is %s', (status, kind) => {
    expect(readStatus({ status }).event).toMatchObject({
      kind,
      providerEventId: `${id}:${status}`,
      ...reference,
    });
  });

  const failed = (code: unknown) => ({
    status: 'failed',
    errors: [{ code, title: 'Said', error_data: { details: 'why' } }],
  });

  test('an error of a recipient who wants no more suppresses the number', () => {
    expect(readStatus(failed(131050)).event).toMatchObject({
      kind: 'dropped',
      suppress: { address: '+16505551234', reason: 'unsubscribed', channel: 'whatsapp' },
      detail: { reason: '131050', response: 'Said: why', status: 'failed' },
    });
  });

  test.each([131026, 131047, 131049, 130472, 132015, 190, 99_999, '131050', null])(
    'error %p suppresses nobody',
    (code) => {
      expect(readStatus(failed(code)).event).toMatchObject({ kind: 'dropped', suppress: null });
    },
  );

  test('without our reference counts for what it says of the number alone', () => {
    const foreign = { biz_opaque_callback_data: undefined };
    expect(readStatus(foreign)).toEqual({
      event: undefined,
      skipped: { ...nothing, notOurs: 1 },
    });
    expect(readStatus({ ...foreign, ...failed(131050) }).event).toMatchObject({
      runId: null,
      messageN: null,
      suppress: { reason: 'unsubscribed' },
    });
  });

  test.each([
    ['no id', { id: '' }, 'unreadable'],
    ['an id of several words', { id: 'a b' }, 'unreadable'],
    ['no status', { status: undefined }, 'unreadable'],
    ['a new status', { status: 'teleported' }, 'unknownKind'],
    ['a name of the language', { status: 'constructor' }, 'unknownKind'],
    ['the reference of another system', { biz_opaque_callback_data: 'order 7' }, 'notOurs'],
    ['a reference that is no text', { biz_opaque_callback_data: { a: 1 } }, 'notOurs'],
    [
      'an error of a number that is hidden',
      { ...failed(131050), biz_opaque_callback_data: '', recipient_id: 'US.1349' },
      'notOurs',
    ],
  ])('with %s is passed over', (_, changes, reason) => {
    expect(readStatus(changes)).toEqual({
      event: undefined,
      skipped: { ...nothing, [reason]: 1 },
    });
  });

  test.each([
    ['its own time', at, new Date(at * 1_000)],
    ['days late', at - 6 * 86_400, new Date((at - 6 * 86_400) * 1_000)],
    ['the future', at + 86_400, receivedAt],
    ['the beginning of time', 0, receivedAt],
    ['nonsense', 'yesterday', receivedAt],
    ['nothing', undefined, receivedAt],
  ])('tells %s', (_, timestamp, occurredAt) => {
    expect(readStatus({ timestamp }).event).toMatchObject({ occurredAt });
  });
});

test('all entries, changes and numbers of a body are read, and what is broken in it is counted', () => {
  const other = { ...metadata, phone_number_id: '206540352242922' };
  const value = { messaging_product: 'whatsapp', metadata, statuses: [statusOf()] };
  const delivery = read({
    object: 'whatsapp_business_account',
    entry: [
      { id: '1', changes: [{ field: 'messages', value }] },
      null,
      { id: '2' },
      {
        id: '3',
        changes: [
          7,
          { field: 'messages' },
          { field: 'messages', value: { statuses: [statusOf()] } },
          { field: 'message_template_status_update', value: { event: 'PAUSED' } },
          { field: 'messages', value: { ...value, metadata: other } },
          {
            field: 'messages',
            value: { ...value, statuses: [null, statusOf({ status: 'read' })] },
          },
          { field: 'messages', value: { metadata, errors: [{ code: 130429 }] } },
          { field: 'messages', value: { metadata, statuses: 'none', messages: { a: 1 } } },
        ],
      },
    ],
  });
  expect(delivery.skipped).toEqual({ unreadable: 6, unknownKind: 2, notOurs: 0 });
  expect(
    delivery.numbers.map(({ phoneNumberId: number, events }) => [
      number,
      events.map(({ kind }) => kind),
    ]),
  ).toEqual([
    [phoneNumberId, ['delivered', 'opened']],
    ['206540352242922', ['delivered']],
  ]);
});

test.each([
  [null, 'unreadable'],
  [[], 'unreadable'],
  ['text', 'unreadable'],
  [{ object: 'whatsapp_business_account' }, 'unreadable'],
  [{ object: 'page', entry: [] }, 'unknownKind'],
])('%j is not read', (body, reason) => {
  expect(read(body)).toEqual({ numbers: [], skipped: { ...nothing, [reason]: 1 } });
});

describe('a customer’s message', () => {
  const message = {
    from: '16505551234',
    id,
    timestamp: String(at),
    type: 'text',
    text: { body: 'Hello' },
  };
  const inbound = (changes: object = {}, display = metadata.display_phone_number) => {
    const { numbers, skipped } = read(
      bodyOf({
        metadata: { ...metadata, display_phone_number: display },
        contacts: [{ profile: { name: 'Ana' }, wa_id: '16505551234' }],
        messages: [{ ...message, ...changes }],
      }),
    );
    return { message: numbers[0]?.inbound[0], skipped };
  };

  test('is read with its numbers and when it was written', () => {
    expect(inbound()).toEqual({
      message: {
        channel: 'whatsapp',
        providerMessageId: id,
        from: '+16505551234',
        to: '+15550783881',
        body: 'Hello',
        media: [],
        writtenAt: new Date(at * 1_000),
        optOut: null,
      },
      skipped: nothing,
    });
  });

  test('to a number that is shown as people write it', () => {
    expect(inbound({}, '+1 (555) 078-3881').message).toMatchObject({ to: '+15550783881' });
  });

  const image = { id: '2754859441498128', mime_type: 'image/jpeg', sha256: 'x', caption: 'Look' };
  test.each([
    [{ type: 'image', text: undefined, image }, 'Look', [{ id: image.id, type: 'image/jpeg' }]],
    [
      { type: 'audio', text: undefined, audio: { ...image, caption: undefined } },
      '',
      [{ id: image.id, type: 'image/jpeg' }],
    ],
    [{ type: 'image', text: undefined, image: { caption: 'Gone' } }, 'Gone', []],
    [
      { type: 'button', text: undefined, button: { text: 'Yes, please', payload: 'p' } },
      'Yes, please',
      [],
    ],
    [
      {
        type: 'interactive',
        text: undefined,
        interactive: { type: 'list_reply', list_reply: { id: 'x', title: 'Blue' } },
      },
      'Blue',
      [],
    ],
    [{ type: 'location', text: undefined, location: { latitude: 1 } }, '', []],
    [{ type: 'unsupported', text: undefined, errors: [{ code: 131051 }] }, '', []],
  ])('%j says %p', (changes, body, media) => {
    expect(inbound(changes).message).toMatchObject({ body, media });
  });

  const button = (text: string, payload: string) => ({
    type: 'button',
    text: undefined,
    button: { text, payload },
  });
  test.each([
    [{ text: { body: 'Stop' } }, 'stop'],
    [{ text: { body: 'UNSTOP' } }, 'start'],
    [{ text: { body: 'stop it there' } }, null],
    [button('Stop promotions', 'Stop promotions'), 'stop'],
    [button('Abmelden', 'STOP'), 'stop'],
    [button('Termin bestätigen', 'YES'), null],
    [
      {
        type: 'interactive',
        text: undefined,
        interactive: { button_reply: { id: 'unsubscribe', title: 'Genug' } },
      },
      'stop',
    ],
  ])('%j wishes %p', (changes, optOut) => {
    expect(inbound(changes).message).toMatchObject({ optOut });
  });

  test('of somebody without a number is of who they are to the vendor', () => {
    expect(
      inbound({ from: undefined, from_user_id: 'US.13491208655302741918' }).message,
    ).toMatchObject({ from: 'US.13491208655302741918' });
  });

  test.each([
    [{ id: '' }, 'unreadable'],
    [{ from: '' }, 'unreadable'],
    [{ from: 'nobody' }, 'unreadable'],
    [{ type: 'system', system: { body: 'changed number' } }, 'unknownKind'],
  ])('%j is passed over', (changes, reason) => {
    expect(inbound(changes)).toEqual({ message: undefined, skipped: { ...nothing, [reason]: 1 } });
  });

  test('to nobody’s number is passed over', () => {
    expect(inbound({}, '').skipped).toEqual({ ...nothing, unreadable: 1 });
  });

  test('keeps out what cannot be stored', () => {
    expect(inbound({ text: { body: 'a\u0000b\ud800' } }).message).toMatchObject({
      body: 'ab\ufffd',
    });
  });
});

describe('a choice in WhatsApp itself', () => {
  const choose = (changes: object = {}) => {
    const preference = {
      wa_id: '16505551234',
      detail: 'User requested to stop marketing messages',
      category: 'marketing_messages',
      value: 'stop',
      timestamp: at,
      ...changes,
    };
    const { numbers, skipped } = read({
      object: 'whatsapp_business_account',
      entry: [
        {
          id: '1',
          changes: [
            { field: 'user_preferences', value: { metadata, user_preferences: [preference] } },
          ],
        },
      ],
    });
    return { event: numbers[0]?.events[0], skipped };
  };

  test('to stop suppresses the number, once, by an id without it', () => {
    const { event } = choose();
    expect(event).toEqual({
      providerEventId: expect.stringMatching(/^preference:[\w-]{43}$/),
      source: 'meta',
      runId: null,
      dispatchN: null,
      attempt: null,
      messageN: null,
      kind: 'unsubscribed',
      occurredAt: new Date(at * 1_000),
      suppress: { address: '+16505551234', reason: 'unsubscribed', channel: 'whatsapp' },
      machine: false,
      detail: { status: 'stop', type: 'whatsapp' },
    });
    expect(choose().event?.providerEventId).toBe(event?.providerEventId);
    expect(choose({ timestamp: at + 1 }).event?.providerEventId).not.toBe(event?.providerEventId);
  });

  test.each([
    [{ value: 'resume' }, 'unknownKind'],
    [{ category: 'calls' }, 'unknownKind'],
    [{ wa_id: '' }, 'unreadable'],
  ])('%j is passed over', (changes, reason) => {
    expect(choose(changes)).toEqual({ event: undefined, skipped: { ...nothing, [reason]: 1 } });
  });
});
