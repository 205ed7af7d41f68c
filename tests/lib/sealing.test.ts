import { randomBytes } from 'node:crypto';
import {
  createSealing,
  keyIdOf,
  parseSealingKeys,
  SealingError,
  type SealedPlace,
} from '../../lib/sealing';

const oldKey = { id: 'k1', key: randomBytes(32) };
const newKey = { id: 'k2', key: randomBytes(32) };
const sealing = createSealing([oldKey]);
const place: SealedPlace = { table: 'provider_accounts', rowId: 'row-1', tenantId: 'tenant-1' };
const secret = 'SG.top.secret 🔑';

test.each(['', 'x', secret, 'ü'.repeat(10_000)])('opens what it sealed: %#', (text) => {
  expect(sealing.open(sealing.seal(text, place), place)).toBe(text);
});

test('hides the text and never writes the same envelope twice', () => {
  const [one, other] = [sealing.seal(secret, place), sealing.seal(secret, place)];
  expect(one).toMatch(/^1\.k1\.[\w-]{16}\.[\w-]+\.[\w-]{22}$/);
  expect(one).not.toBe(other);
  expect(one).not.toContain(secret);
  expect(Buffer.from(one.split('.')[3] ?? '', 'base64url').toString()).not.toContain('secret');
});

test.each<[string, SealedPlace]>([
  ['another table', { ...place, table: 'users' }],
  ['another row', { ...place, rowId: 'row-2' }],
  ['another tenant', { ...place, tenantId: 'tenant-2' }],
  ['the platform', { ...place, tenantId: null }],
  ['parts that read alike when joined', { ...place, rowId: 'row-1","tenant-1' }],
])('does not open in %s', (_, elsewhere) => {
  const sealed = sealing.seal(secret, place);
  expect(failureOf(() => sealing.open(sealed, elsewhere))).toBe('notAuthentic');
});

test('does not open with one bit changed, wherever it is', () => {
  const [version, keyId, ...parts] = sealing.seal(secret, place).split('.');
  for (const [at, part] of parts.entries()) {
    const bytes = Buffer.from(part, 'base64url');
    for (let index = 0; index < bytes.length; index += 1) {
      const changed = Buffer.from(bytes);
      changed[index] = (changed[index] ?? 0) ^ 1;
      const all = parts.with(at, changed.toString('base64url'));
      const open = () => sealing.open([version, keyId, ...all].join('.'), place);
      expect([at, index, failureOf(open)]).toEqual([at, index, 'notAuthentic']);
    }
  }
});

test.each([
  ['nothing', ''],
  ['the secret itself', secret],
  ['a part missing', '1.k1.AAAAAAAAAAAAAAAA.AAAA'],
  ['a part too many', `${sealing.seal(secret, place)}.AAAA`],
  ['another version', sealing.seal(secret, place).replace(/^1/, '2')],
  ['a shorter tag', sealing.seal(secret, place).slice(0, -8)],
  ['characters of no base64', sealing.seal(secret, place).replace(/.$/, '*')],
  ['white space after it', `${sealing.seal(secret, place)} `],
])('refuses %s as no envelope', (_, sealed) => {
  expect(failureOf(() => sealing.open(sealed, place))).toBe('malformed');
});

test('another key under the same id does not open', () => {
  const sealed = sealing.seal(secret, place);
  const wrong = createSealing([{ id: 'k1', key: randomBytes(32) }]);
  expect(failureOf(() => wrong.open(sealed, place))).toBe('notAuthentic');
});

test('an id moved to another known key does not open', () => {
  const both = createSealing([newKey, oldKey]);
  const moved = sealing.seal(secret, place).replace('.k1.', '.k2.');
  expect(failureOf(() => both.open(moved, place))).toBe('notAuthentic');
});

test('a new first key seals while the old one still opens, until it is dropped', () => {
  const sealedBefore = sealing.seal(secret, place);
  const during = createSealing([newKey, oldKey]);
  const sealedAgain = during.seal(during.open(sealedBefore, place), place);
  expect([during.keyId, keyIdOf(sealedBefore), keyIdOf(sealedAgain)]).toEqual(['k2', 'k1', 'k2']);

  const after = createSealing([newKey]);
  expect(after.open(sealedAgain, place)).toBe(secret);
  expect(failureOf(() => after.open(sealedBefore, place))).toBe('unknownKey');
});

test('no error tells the secret, its envelope or a key', () => {
  const sealed = sealing.seal(secret, place);
  for (const open of [
    () => createSealing([newKey]).open(sealed, place),
    () => sealing.open(sealed, { ...place, rowId: 'row-2' }),
    () => sealing.open(secret, place),
  ]) {
    const error = errorOf(open);
    const told = `${error.message} ${error.stack} ${JSON.stringify(error)}`;
    expect(told).not.toContain('secret 🔑');
    expect(told).not.toContain(sealed.split('.')[3]);
    expect(told).not.toContain(oldKey.key.toString('base64'));
  }
});

test.each([
  ['no keys', []],
  ['a short key', [{ id: 'k1', key: randomBytes(16) }]],
  ['an id given twice', [oldKey, { ...newKey, id: 'k1' }]],
  ['an id with a dot', [{ ...oldKey, id: 'k.1' }]],
  ['an empty id', [{ ...oldKey, id: '' }]],
])('is not made of %s', (_, keys) => {
  expect(() => createSealing(keys)).toThrow(RangeError);
});

describe('parseSealingKeys', () => {
  const base64 = newKey.key.toString('base64');

  test('reads keys in their order', () => {
    const text = `k2:${base64}, k1:${oldKey.key.toString('base64')}`;
    expect(parseSealingKeys(text)).toEqual([newKey, oldKey]);
  });

  test.each([
    ['nothing', ''],
    ['a key without an id', base64],
    ['an empty entry', `k2:${base64},`],
    ['a short key', `k2:${randomBytes(16).toString('base64')}`],
    ['a long key', `k2:${randomBytes(48).toString('base64')}`],
    ['one id twice', `k2:${base64},k2:${base64}`],
  ])('refuses %s and does not show it', (_, text) => {
    const error = errorOf(() => parseSealingKeys(text));
    expect(error).toBeInstanceOf(RangeError);
    expect(error.message).not.toContain(base64);
  });
});

function errorOf(act: () => unknown): Error {
  try {
    act();
  } catch (error) {
    if (error instanceof Error) {
      return error;
    }
  }
  throw new Error('nothing was thrown');
}

function failureOf(act: () => unknown): string {
  const error = errorOf(act);
  return error instanceof SealingError ? error.failure : error.name;
}
