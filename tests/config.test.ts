import { readFileSync } from 'node:fs';
import path from 'node:path';
import { ConfigError, loadConfig, variableNames } from '../lib/config';

const example = readFileSync(path.join(__dirname, '..', '.env.example'), 'utf8');

describe('.env.example', () => {
  // "# NAME=value" is a variable, "# Some words" is not.
  const described = example
    .split('\n')
    .flatMap((line) => /^#? ?([A-Z][A-Z0-9_]+)=/.exec(line)?.slice(1, 2) ?? []);

  test('describes every variable that is read', () => {
    expect(variableNames.filter((name) => !described.includes(name))).toEqual([]);
  });

  test('describes none that is not read, and none twice', () => {
    expect(described.filter((name) => !variableNames.includes(name))).toEqual([]);
    expect(new Set(described).size).toBe(described.length);
  });

  test('has a comment above each variable or its group', () => {
    const blocks = example.split('\n\n').filter((block) => /^# [A-Z][A-Z0-9_]+=/m.test(block));
    for (const block of blocks) {
      expect(block.split('\n')[0]).toMatch(/^# (?![A-Z][A-Z0-9_]+=)\S.{10,}/);
    }
  });

  test('sets nothing by itself', () => {
    expect(example.split('\n').filter((line) => line !== '' && !line.startsWith('#'))).toEqual([]);
  });
});

describe('loadConfig', () => {
  test('needs nothing', () => {
    expect(loadConfig([], {})).toMatchObject({ API_PORT: 3000, TEMPORAL_NAMESPACE: 'carillon' });
  });

  test('takes an empty variable for one that is not set', () => {
    expect(loadConfig([], { DATABASE_URL: '', API_PORT: '' })).toMatchObject({ API_PORT: 3000 });
  });

  test.each([
    '*',
    'null',
    'https://console.example.com/',
    'console.example.com',
    'https://*.a.com/x',
  ])('refuses %s as an origin', (origin) => {
    const load = () => loadConfig([], { CORS_ORIGINS: `https://a.example.com, ${origin}` });
    expect(load).toThrow('CORS_ORIGINS');
  });

  test.each([
    ['true', 1],
    ['false', 0],
    ['2', 2],
  ])('takes TRUST_PROXY=%s for %s proxies', (text, count) => {
    expect(loadConfig([], { TRUST_PROXY: text }).TRUST_PROXY).toBe(count);
  });

  test('lists every problem at once', () => {
    const load = () =>
      loadConfig(['SEALING_KEYS'], {
        API_PORT: 'eighty',
        DATABASE_URL: 'mysql://localhost/x',
        TEMPORAL_ADDRESS: 'http://localhost',
        SENDGRID_API_KEY: 'secret',
        TRACKING_SECRET: 'short',
        LOG_LEVEL: 'loud',
        WORKERS: '0',
      });
    expect(load).toThrow(ConfigError);
    const problems = problemsOf(load);
    for (const name of [
      'API_PORT',
      'DATABASE_URL',
      'TEMPORAL_ADDRESS',
      'SENDGRID_API_KEY',
      'TRACKING_SECRET',
      'LOG_LEVEL',
      'WORKERS',
      'SEALING_KEYS',
    ]) {
      expect(problems).toContainEqual(expect.stringContaining(`${name}: `));
    }
  });

  test('refuses a lease that a slow call could outlive', () => {
    const problems = problemsOf(() =>
      loadConfig([], { PROVIDER_TIMEOUT_MS: '40000', DISPATCH_LEASE_MS: '60000' }),
    );
    expect(problems).toHaveLength(1);
    expect(problems[0]).toContain('DISPATCH_LEASE_MS');
  });

  test.each(['base64', 'k1:c2hvcnQ=', 'k1:c2hvcnQ=,'])(
    'refuses %j as sealing keys and does not repeat it',
    (keys) => {
      const problems = problemsOf(() => loadConfig([], { SEALING_KEYS: keys }));
      expect(problems).toEqual([expect.stringContaining('SEALING_KEYS: entry 1')]);
      expect(problems.join()).not.toContain('c2hvcnQ');
    },
  );

  test.each(['secret', 'AAAA', '-----BEGIN PUBLIC KEY-----'])(
    'refuses %j as the key of event webhooks',
    (key) => {
      const problems = problemsOf(() => loadConfig([], { SENDGRID_WEBHOOK_PUBLIC_KEY: key }));
      expect(problems).toEqual([expect.stringContaining('SENDGRID_WEBHOOK_PUBLIC_KEY')]);
    },
  );

  test.each([undefined, '', 'http://carillon.example.com', 'HTTP://x.example', 'ftp://x.example'])(
    'refuses %j as the public address in production',
    (address) => {
      const problems = problemsOf(() =>
        loadConfig([], { NODE_ENV: 'production', PUBLIC_URL: address }),
      );
      expect(problems).toEqual([expect.stringContaining('PUBLIC_URL')]);
    },
  );

  test('takes an https address in production, and none elsewhere', () => {
    const production = { NODE_ENV: 'production', PUBLIC_URL: 'https://carillon.example.com' };
    expect(loadConfig([], production)).toMatchObject(production);
    expect(loadConfig([], { NODE_ENV: 'development' }).PUBLIC_URL).toBeUndefined();
  });
});

function problemsOf(load: () => unknown): string[] {
  try {
    load();
  } catch (error) {
    if (error instanceof ConfigError) {
      return error.problems;
    }
    throw error;
  }
  return [];
}
