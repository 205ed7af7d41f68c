import { readFileSync } from 'node:fs';
import path from 'node:path';
import { parse } from 'yaml';
import { z } from 'zod';
import { variableNames } from '../../lib/config';
import { customSearchAttributes, developmentSettings } from '../../workers/launch/temporalSettings';

const root = path.join(__dirname, '..', '..');
const read = (name: string) => readFileSync(path.join(root, name), 'utf8');

const Service = z.object({
  image: z.string(),
  command: z.array(z.string()).optional(),
  entrypoint: z.array(z.string()).optional(),
  environment: z.record(z.string(), z.unknown()).default({}),
  volumes: z.array(z.string()).default([]),
  ports: z.array(z.string()).default([]),
  healthcheck: z
    .object({ test: z.array(z.string()) })
    .or(z.object({ disable: z.boolean() }))
    .optional(),
  depends_on: z.record(z.string(), z.object({ condition: z.string() })).default({}),
});

const { services } = z
  .object({ services: z.record(z.string(), Service) })
  .parse(parse(read('temporal-compose.yml'), { merge: true }));

function service(name: string) {
  const found = services[name];
  if (found === undefined) {
    throw new Error(`There is no service ${name}`);
  }
  return found;
}

const longRunning = [
  'postgres',
  'temporal',
  'temporal-ui',
  'api',
  'codec',
  'worker',
  'transactional',
];
const jobs = ['temporal-schema', 'temporal-namespace', 'migrate'];
const ours = ['migrate', 'api', 'codec', 'worker', 'transactional'];

describe('temporal-compose.yml', () => {
  test('holds the production-shaped set', () => {
    expect(Object.keys(services).sort()).toEqual([...longRunning, ...jobs].sort());
  });

  test.each(longRunning)('%s says whether it is healthy', (name) => {
    expect(service(name).healthcheck).toHaveProperty('test');
  });

  test.each(ours)('%s runs the image that is built here, or the one that is named', (name) => {
    expect(service(name).image).toBe('${CARILLON_IMAGE:-carillon:local}');
  });

  const foreign = Object.keys(services).filter((name) => !ours.includes(name));
  test.each(foreign)('%s names an exact image', (name) => {
    expect(service(name).image).toMatch(/^[\w./-]+:v?\d+\.\d+\.\d+(-\w+)?$/);
  });

  test('waits for what each part needs, jobs until they are done and servers until they are healthy', () => {
    for (const [name, { depends_on: needs }] of Object.entries(services)) {
      for (const [needed, { condition }] of Object.entries(needs)) {
        expect([name, needed, condition]).toEqual([
          name,
          needed,
          jobs.includes(needed) ? 'service_completed_successfully' : 'service_healthy',
        ]);
      }
    }
    expect(Object.keys(service('temporal').depends_on)).toContain('temporal-schema');
    for (const name of ['api', 'worker', 'transactional']) {
      expect(Object.keys(service(name).depends_on).sort()).toEqual([
        'migrate',
        'temporal-namespace',
      ]);
    }
  });

  test.each(ours)('%s is given only variables that the configuration knows', (name) => {
    const given = Object.keys(service(name).environment);
    expect(given.filter((variable) => !variableNames.includes(variable))).toEqual([]);
  });

  test('asks for every secret and has none of its own', () => {
    const secrets = /(PASSWORD|PWD|SECRET|API_KEY|SEALING_KEYS)$/;
    const values = Object.values(services).flatMap(({ environment }) =>
      Object.entries(environment).filter(([variable]) => secrets.test(variable)),
    );
    expect(values.length).toBeGreaterThan(5);
    for (const [, value] of values) {
      expect(value).toMatch(/^\$\{[A-Z_]+:\?.+\}$/);
    }
    expect(service('api').environment.DATABASE_URL).toMatch(
      /\/carillon_app:\$\{CARILLON_APP_DB_PASSWORD:\?/,
    );
  });

  test('publishes ports on the loopback address alone', () => {
    const ports = Object.values(services).flatMap((each) => each.ports);
    expect(ports.length).toBeGreaterThan(0);
    expect(ports.filter((port) => !port.startsWith('127.0.0.1:'))).toEqual([]);
  });

  test('mounts files that are there', () => {
    const files = Object.values(services)
      .flatMap(({ volumes }) => volumes)
      .filter((volume) => volume.startsWith('./'))
      .map((volume) => volume.split(':')[0] ?? '');
    for (const file of files) {
      expect(read(file)).not.toBe('');
    }
    expect(files).toContain('./deploy/temporal-dynamic-config.yaml');
  });

  test('points the server to the dynamic configuration it mounts', () => {
    const { environment, volumes } = service('temporal');
    expect(volumes).toContain(
      `./deploy/temporal-dynamic-config.yaml:${String(environment.DYNAMIC_CONFIG_FILE_PATH)}:ro`,
    );
  });
});

describe('the Temporal server of compose and of npm start', () => {
  test('have the same dynamic configuration', () => {
    const Values = z.record(z.string(), z.tuple([z.strictObject({ value: z.unknown() })]));
    const file = Values.parse(parse(read('deploy/temporal-dynamic-config.yaml')));
    expect(
      Object.fromEntries(Object.entries(file).map(([key, [{ value }]]) => [key, value])),
    ).toEqual(developmentSettings);
  });

  test('know the same search attributes', () => {
    const script = read('deploy/temporal-namespace.sh');
    const created = [...script.matchAll(/--name (\w+) --type (\w+)/g)].map(([, name, kind]) => [
      name,
      kind,
    ]);
    expect(created).toEqual(customSearchAttributes);
  });
});

describe('Dockerfile', () => {
  const dockerfile = read('Dockerfile');

  test('builds on one exact Node and does not run as root', () => {
    const images = [...dockerfile.matchAll(/^FROM (\S+)/gm)].map(([, image]) => image);
    expect(new Set(images).size).toBe(1);
    expect(images[0]).toMatch(/^node:20\.\d+\.\d+-/);
    expect(dockerfile).toMatch(/^USER node$/m);
    expect(dockerfile).toMatch(/TZ=UTC/);
    expect(dockerfile).toMatch(/^HEALTHCHECK /m);
  });

  test('sets only variables that the configuration or Node knows', () => {
    const block = /^ENV ((?:.*\\\n)*.*)$/m.exec(dockerfile)?.[1] ?? '';
    const names = [...block.matchAll(/([A-Z_]+)=/g)].map(([, name]) => name ?? '');
    expect(names.length).toBeGreaterThan(3);
    expect(names.filter((name) => ![...variableNames, 'TZ'].includes(name))).toEqual([]);
  });
});
