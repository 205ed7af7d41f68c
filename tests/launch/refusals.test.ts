import { chmodSync, mkdirSync, symlinkSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:net';
import path from 'node:path';
import { databaseProblem } from '../../workers/launch/externalDatabase';
import { parseStartOptions } from '../../workers/launch/options';
import { freePort } from '../../workers/launch/ports';
import { findTemporalProgram } from '../../workers/launch/temporalProgram';
import { temporaryFolder, testGround } from '../support/ground';
import { createTestDatabase, withDatabase, type TestDatabase } from '../support/postgres';
import { temporalAddress } from '../support/temporal';
import { endFor, freePorts, portsStillTaken, startCarillon } from './carillon';

const folder = () => path.join(temporaryFolder('refusal'), 'data');

describe('npm start refuses', () => {
  test('with one sentence about each port in use, all at once, and starts nothing', async () => {
    const ports = await freePorts();
    const holders = await Promise.all([listen(ports.API_PORT), listen(ports.SANDBOX_PORT)]);
    try {
      const refused = startCarillon({ dataDir: folder(), ports });
      expect(await refused.ended()).toBe(1);
      const sentences = refused.complaint().trim().split('\n');
      expect(sentences).toEqual([
        expect.stringMatching(
          `^Port ${ports.API_PORT}, wanted for the API, is in use by .+\\. Stop that, or set API_PORT to another port\\.$`,
        ),
        expect.stringMatching(
          `^Port ${ports.SANDBOX_PORT}, wanted for the sandbox, .*set SANDBOX_PORT to another port\\.$`,
        ),
      ]);
    } finally {
      holders.forEach((holder) => holder.close());
    }
    expect(await portsStillTaken(ports, 1000)).toEqual([]);
  });

  test('a port given twice', async () => {
    const ports = await freePorts();
    const refused = startCarillon({
      dataDir: folder(),
      ports: { ...ports, SANDBOX_PORT: ports.API_PORT },
    });
    expect(await refused.ended()).toBe(1);
    expect(refused.complaint()).toContain(
      `API_PORT and SANDBOX_PORT both name port ${ports.API_PORT}: give the API and the sandbox one each.`,
    );
  });

  test('wrong variables, all at once, before anything starts', async () => {
    const refused = startCarillon({
      dataDir: folder(),
      ports: await freePorts(),
      environment: { LOG_LEVEL: 'loud', WORKERS: 'many', SLICE_MS: '1' },
    });
    expect(await refused.ended()).toBe(2);
    expect(refused.complaint()).toMatch(/LOG_LEVEL: .*\n.*WORKERS: .*\n.*SLICE_MS: /);
  });

  test('a database and a Temporal server that do not answer, together', async () => {
    const [nobody, nobodyElse] = await Promise.all([freePort(), freePort()]);
    const refused = startCarillon({
      dataDir: folder(),
      ports: await freePorts(),
      environment: {
        DATABASE_URL: `postgres://carillon:secret@127.0.0.1:${nobody}/carillon`,
        TEMPORAL_ADDRESS: `127.0.0.1:${nobodyElse}`,
      },
    });
    expect(await refused.ended()).toBe(1);
    expect(refused.complaint()).toMatch(
      `DATABASE_URL: nothing answers at 127.0.0.1:${nobody}. Start that Postgres`,
    );
    expect(refused.complaint()).toMatch(
      `TEMPORAL_ADDRESS: no Temporal server answers at 127.0.0.1:${nobodyElse}`,
    );
    expect(refused.complaint()).not.toContain('secret');
  });

  test('data whose passwords are lost', async () => {
    const dataDir = folder();
    mkdirSync(path.join(dataDir, 'postgres'), { recursive: true });
    writeFileSync(path.join(dataDir, 'postgres', 'PG_VERSION'), '18\n');
    const refused = startCarillon({ dataDir, ports: await freePorts() });
    expect(await refused.ended()).toBe(1);
    expect(refused.complaint()).toContain(`${path.join(dataDir, 'secrets.json')} is missing`);
  });

  test('an option it does not know, showing those it does', async () => {
    const refused = startCarillon({
      dataDir: folder(),
      ports: await freePorts(),
      args: ['--worker', '2'],
    });
    expect(await refused.ended()).toBe(2);
    expect(refused.complaint()).toMatch(/'--worker'[^]*--workers N/);
  });
});

describe('npm start on servers of somebody else', () => {
  let database: TestDatabase;

  beforeAll(async () => {
    database = await createTestDatabase();
  });

  afterAll(() => database.drop());

  test('runs only its own parts', async () => {
    const ports = await freePorts();
    const carillon = startCarillon({
      dataDir: folder(),
      ports,
      args: ['--no-demo'],
      environment: {
        DATABASE_URL: database.url,
        MIGRATION_DATABASE_URL: database.adminUrl,
        TEMPORAL_ADDRESS: temporalAddress(),
      },
    });
    try {
      const { addresses } = await carillon.ready();
      expect(addresses).not.toHaveProperty('Temporal UI');
      const taken = await portsStillTaken(ports, 0);
      expect(taken.sort()).toEqual(['API_PORT', 'CODEC_PORT', 'SANDBOX_PORT', 'WORKER_PORT']);
    } finally {
      await endFor(carillon);
    }
  });
});

describe('a DATABASE_URL', () => {
  const admin = () => testGround().postgresUrl;

  test('that works has no problem', async () => {
    expect(await databaseProblem(admin())).toBeUndefined();
  });

  test('with a wrong password is told apart', async () => {
    const url = new URL(admin());
    url.password = 'wrong';
    expect(await databaseProblem(url.href)).toMatch(/refuses the user "postgres".*percent-encoded/);
  });

  test('with a database that is not there is told apart', async () => {
    expect(await databaseProblem(withDatabase(admin(), 'nowhere'))).toMatch(
      /has no database "nowhere"\. Create it/,
    );
  });

  test('with a host that does not resolve is told apart', async () => {
    expect(await databaseProblem('postgres://a:b@nowhere.invalid:5432/c')).toMatch(
      /host name of nowhere\.invalid:5432 does not resolve/,
    );
  });

  test('that is no address is told apart', async () => {
    expect(await databaseProblem('postgres://a:b#c@host/d:x:y')).toMatch(/DATABASE_URL/);
  });
});

describe('without a Temporal server to find', () => {
  test('each way that was tried is told, and what to do', async () => {
    const cacheDir = temporaryFolder('cache');
    const tools = path.join(cacheDir, 'bin');
    mkdirSync(tools);
    symlinkSync(process.execPath, path.join(tools, 'node'));
    const ports = await freePorts();
    const refused = startCarillon({
      dataDir: path.join(cacheDir, 'data'),
      ports,
      environment: {
        PATH: tools,
        TEMPORAL_CLI_PATH: '',
        CARILLON_CACHE_DIR: cacheDir,
        // No download either, whatever network this machine has.
        HTTPS_PROXY: 'http://127.0.0.1:9',
        ...withoutRoot(),
      },
    });
    expect(await refused.ended()).toBe(1);
    const complaint = refused.complaint();
    expect(complaint).toContain('There is no Temporal server to start. Tried:');
    expect(complaint).toContain('PATH: there is no program named temporal.');
    expect(complaint).toContain('temporal is not there.');
    expect(complaint).toContain('Download through the SDK: ');
    expect(complaint).toContain('Build with Go: there is no program named go on PATH.');
    expect(complaint).toContain('Install Go 1.25 or newer');
    expect(await portsStillTaken(ports, 1000)).toEqual([]);
  });

  test('a wrong TEMPORAL_CLI_PATH is not silently passed over', async () => {
    const program = path.join(temporaryFolder('program'), 'temporal');
    writeFileSync(program, '#!/bin/sh\necho "temporal version 1.0.0 (Server 1.22.0, UI 2.1)"\n');
    const find = (givenPath: string) =>
      findTemporalProgram({ givenPath, cacheDir: '/nowhere', onProgress: () => undefined });
    await expect(find(`${program}.not`)).rejects.toThrow(/is not there\. Point it to/);
    await expect(find(program)).rejects.toThrow(/may not be executed/);
    chmodSync(program, 0o755);
    await expect(find(program)).rejects.toThrow(/holds server 1\.22, 1\.28 or newer is needed/);
  });
});

describe('the command line', () => {
  test.each([
    [[], { demo: true, watch: false, help: false, workers: undefined }],
    [['--workers', '4'], { workers: 4 }],
    [['--no-demo', '--watch'], { demo: false, watch: true }],
    [['--help'], { help: true }],
  ])('%j', (args, expected) => {
    expect(parseStartOptions(args)).toMatchObject(expected);
  });

  test.each(['0', '65', '1.5', 'four', '-1'])('refuses %s workers', (count) => {
    expect(() => parseStartOptions([`--workers=${count}`])).toThrow(/whole number from 1 to 64/);
  });
});

// With an empty PATH nothing is found that would give up root's rights, so the embedded Postgres is
// kept out of this test where root runs it.
function withoutRoot(): Record<string, string> {
  return { DATABASE_URL: testGround().postgresUrl };
}

function listen(port: number): Promise<Server> {
  return new Promise((resolve, reject) => {
    const server = createServer();
    server.once('error', reject).listen(port, '127.0.0.1', () => resolve(server));
  });
}
