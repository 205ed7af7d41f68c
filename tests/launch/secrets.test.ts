import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import path from 'node:path';
import { createSealing, parseSealingKeys } from '../../lib/sealing';
import { addSealingKey, loadSecrets } from '../../workers/launch/secrets';

let dataDir: string;

beforeEach(() => {
  dataDir = mkdtempSync(path.join(tmpdir(), 'carillon-secrets-'));
});

afterEach(() => rmSync(dataDir, { recursive: true, force: true }));

test('makes up secrets once, for the owner alone, with a key that seals', () => {
  const first = loadSecrets(dataDir);
  expect(loadSecrets(dataDir)).toEqual(first);
  expect(statSync(path.join(dataDir, 'secrets.json')).mode & 0o777).toBe(0o600);
  expect(createSealing(parseSealingKeys(first.sealingKeys)).keyId).toBe('local');
});

test('gives a file of an earlier version what it has not, once, and keeps all else', () => {
  const { sealingKeys: _, postgresAppPassword: __, ...earlier } = loadSecrets(dataDir);
  const file = path.join(dataDir, 'secrets.json');
  writeFileSync(file, JSON.stringify(earlier));

  const completed = loadSecrets(dataDir);
  expect(completed).toMatchObject(earlier);
  expect(parseSealingKeys(completed.sealingKeys)).toHaveLength(1);
  expect(completed.postgresAppPassword).toMatch(/^\S{20,}$/);
  expect(JSON.parse(readFileSync(file, 'utf8'))).toEqual(completed);
  expect(loadSecrets(dataDir)).toEqual(completed);
});

test('does not replace a file it cannot read', () => {
  const file = path.join(dataDir, 'secrets.json');
  writeFileSync(file, '{"trackingSecret": "short"}');
  expect(() => loadSecrets(dataDir)).toThrow('cannot be read as it was written');
  expect(readFileSync(file, 'utf8')).toBe('{"trackingSecret": "short"}');
});

test('takes a new sealing key before the old one, and keeps all else', () => {
  const before = loadSecrets(dataDir);
  expect(addSealingKey(dataDir)).toBe('local2');
  expect(addSealingKey(dataDir)).toBe('local3');
  const { sealingKeys, ...after } = loadSecrets(dataDir);
  const keys = parseSealingKeys(sealingKeys);
  expect(keys.map(({ id }) => id)).toEqual(['local3', 'local2', 'local']);
  expect({ ...after, sealingKeys: before.sealingKeys }).toEqual(before);
  expect(statSync(path.join(dataDir, 'secrets.json')).mode & 0o777).toBe(0o600);
  const place = { table: 'provider_accounts', rowId: 'a', tenantId: null };
  const sealed = createSealing(parseSealingKeys(before.sealingKeys)).seal('secret', place);
  expect(createSealing(keys).open(sealed, place)).toBe('secret');
});

test('makes no secrets up for the sake of a new key', () => {
  expect(() => addSealingKey(dataDir)).toThrow('it is made by the first npm start');
});
