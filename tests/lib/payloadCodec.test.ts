import { createSecretKey, randomBytes } from 'node:crypto';
import {
  defaultPayloadConverter,
  type Payload,
  type SerializationContext,
} from '@temporalio/common';
import { temporal } from '@temporalio/proto';
import { newId, newRandomId } from '../../lib/ids';
import {
  createPayloadCodec,
  decryptPayload,
  encryptPayload,
  type DataKey,
} from '../../lib/payloadCodec';
import { summary } from '../../workflows/summary';
import { tenantOfWorkflow } from '../../workflows/tenantOf';

const tenantId = newId();
const platformKey = newKey(null);
const tenantKey = newKey(tenantId);
const codec = createPayloadCodec(
  {
    current: (tenant) => Promise.resolve(tenant === tenantId ? tenantKey : platformKey),
    byId: (id) => Promise.resolve(id === tenantKey.id ? tenantKey : platformKey),
  },
  tenantOfWorkflow,
);

const payload: Payload = {
  metadata: { encoding: Buffer.from('json/plain') },
  data: Buffer.from('{"name":"Ada Lovelace"}'),
};

test('reads what it wrote, metadata and all, and shows nothing of it', async () => {
  const [encrypted] = await codec.encode([payload]);
  expect(Buffer.from(encrypted?.data ?? []).includes('Ada')).toBe(false);
  expect(textsOf(encrypted)).toEqual({
    encoding: 'binary/encrypted',
    'encryption-key-id': platformKey.id,
    'encryption-version': '1',
  });
  const [again] = await codec.decode([encrypted ?? {}]);
  expect(textsOf(again)).toEqual({ encoding: 'json/plain' });
  expect(Buffer.from(again?.data ?? []).toString()).toBe('{"name":"Ada Lovelace"}');
});

test('leaves the longest summary under the 400 bytes that the server keeps of one', () => {
  const text = summary('Frühling '.repeat(50));
  const encrypted = encryptPayload(defaultPayloadConverter.toPayload(text), tenantKey);
  const { Payload: PayloadMessage } = temporal.api.common.v1;
  expect(PayloadMessage.encode(encrypted).finish().length).toBeLessThanOrEqual(400);
});

test('never writes the same bytes twice', async () => {
  const [first, second] = await codec.encode([payload, payload]);
  expect(Buffer.from(first?.data ?? [])).not.toEqual(Buffer.from(second?.data ?? []));
});

test.each<[string, SerializationContext | undefined, string]>([
  ['a campaign', workflow(`campaign/${tenantId}/${newId()}`), tenantKey.id],
  ['a wave', workflow(`campaign/${tenantId}/${newId()}/run/1/wave/1-7`), tenantKey.id],
  [
    'an activity of a campaign',
    { type: 'activity', namespace: 'n', isLocal: false, workflowId: `campaign/${tenantId}/1` },
    tenantKey.id,
  ],
  ['a workflow of the platform', workflow('reconcile'), platformKey.id],
  ['a kind whose second part is no tenant', workflow(`keyring/${tenantId}`), platformKey.id],
  [
    'an activity of no workflow',
    { type: 'activity', namespace: 'n', isLocal: false },
    platformKey.id,
  ],
  ['nothing that is told', undefined, platformKey.id],
])('encrypts what belongs to %s with the key of its owner', async (_, context, keyId) => {
  const [encrypted] = await codec.encode([payload], context);
  expect(textsOf(encrypted)?.['encryption-key-id']).toBe(keyId);
});

test('lets through what was never encrypted', async () => {
  const clear: Payload[] = [payload, { metadata: {}, data: Buffer.from('x') }, {}];
  expect(await codec.decode(clear)).toEqual(clear);
});

test('does not open what was changed, cut short or encrypted with another key', () => {
  const encrypted = encryptPayload(payload, tenantKey);
  const bytes = Buffer.from(encrypted.data ?? []);
  for (const at of [0, 12, bytes.length - 1]) {
    const changed = Buffer.from(bytes);
    changed[at] = (changed[at] ?? 0) ^ 1;
    expect(() => decryptPayload({ ...encrypted, data: changed }, tenantKey)).toThrow(
      expect.objectContaining({ failure: 'notAuthentic' }),
    );
  }
  expect(() => decryptPayload({ ...encrypted, data: bytes.subarray(0, 20) }, tenantKey)).toThrow(
    expect.objectContaining({ failure: 'malformed' }),
  );
  expect(() => decryptPayload(encrypted, platformKey)).toThrow(
    expect.objectContaining({ failure: 'notAuthentic' }),
  );
});

test('does not open under another key id, even with the same key', () => {
  const encrypted = encryptPayload(payload, tenantKey);
  expect(() => decryptPayload(encrypted, { ...tenantKey, id: newRandomId() })).toThrow(
    expect.objectContaining({ failure: 'notAuthentic' }),
  );
});

test('refuses an encryption it does not know instead of passing it on as clear', async () => {
  const encrypted = encryptPayload(payload, tenantKey);
  const other = {
    ...encrypted,
    metadata: { ...encrypted.metadata, 'encryption-version': Buffer.from('2') },
  };
  await expect(codec.decode([other])).rejects.toMatchObject({ failure: 'malformed' });
});

function newKey(owner: string | null): DataKey {
  return { id: newRandomId(), tenantId: owner, key: createSecretKey(randomBytes(32)) };
}

function workflow(workflowId: string): SerializationContext {
  return { type: 'workflow', namespace: 'n', workflowId };
}

function textsOf(encrypted: Payload | undefined): Record<string, string> | undefined {
  const entries = Object.entries(encrypted?.metadata ?? {});
  return Object.fromEntries(entries.map(([key, bytes]) => [key, Buffer.from(bytes).toString()]));
}
