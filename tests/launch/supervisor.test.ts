import path from 'node:path';
import { writeFileSync } from 'node:fs';
import { createDatabase } from '../../lib/db';
import { isAlive, parentOf } from '../../lib/processes';
import { connectTemporal } from '../../lib/temporal';
import { adminRole, postgresUrl } from '../../workers/launch/embeddedPostgres';
import { readPid } from '../../workers/launch/guarded';
import { portHolder } from '../../workers/launch/ports';
import { loadSecrets } from '../../workers/launch/secrets';
import { inClear } from '../support/dataConverter';
import { temporaryFolder } from '../support/ground';
import {
  endFor,
  eventually,
  freePorts,
  portsStillTaken,
  startCarillon,
  type CarillonPorts,
  type StartedCarillon,
} from './carillon';

// One installation carries these tests in order: each leaves it as the next one needs it.
describe('npm start', () => {
  let dataDir: string;
  let ports: CarillonPorts;
  let carillon: StartedCarillon | undefined;
  const started: StartedCarillon[] = [];
  let contents: Awaited<ReturnType<typeof contentsOf>>;

  const start = (args: string[] = []) => {
    carillon = startCarillon({ dataDir, ports, args: ['--no-demo', ...args] });
    started.push(carillon);
    return carillon;
  };

  beforeAll(async () => {
    dataDir = path.join(temporaryFolder('carillon'), 'data');
    ports = await freePorts();
  });

  afterAll(async () => {
    for (const one of started) {
      await endFor(one);
    }
  });

  test('starts every part and says where they are', async () => {
    const { addresses } = await start().ready();
    expect(addresses).toEqual({
      API: `http://localhost:${ports.API_PORT}/api/v1`,
      'API docs': `http://localhost:${ports.API_PORT}/docs`,
      'Temporal UI': `http://localhost:${ports.TEMPORAL_UI_PORT}/namespaces/carillon/workflows`,
      'Codec server': `http://localhost:${ports.CODEC_PORT}`,
      Inbox: `http://localhost:${ports.SANDBOX_PORT}`,
    });
    expect(await status(ports.API_PORT, '/ready')).toBe(200);
    expect(await status(ports.WORKER_PORT, '/ready')).toBe(200);
    expect(await status(ports.CODEC_PORT, '/ready')).toBe(200);
    expect(await status(ports.SANDBOX_PORT, '/api/messages?perPage=1')).toBe(200);
    expect(await status(ports.TEMPORAL_UI_PORT, '/')).toBe(200);
    const settings = await fetch(`http://127.0.0.1:${ports.TEMPORAL_UI_PORT}/api/v1/settings`);
    expect(await settings.json()).toMatchObject({
      Codec: {
        Endpoint: `http://localhost:${ports.CODEC_PORT}/codec`,
        IncludeCredentials: true,
      },
    });
  });

  test('refuses a second supervisor on the same data', async () => {
    const second = startCarillon({ dataDir, ports: await freePorts() });
    expect(await second.ended()).toBe(1);
    expect(second.complaint()).toContain(
      `Carillon already runs on ${dataDir} (pid ${carillon?.pid})`,
    );
    expect(await status(ports.API_PORT, '/ready')).toBe(200);
  });

  test.each(['API_PORT', 'WORKER_PORT', 'SANDBOX_PORT', 'TEMPORAL_PORT', 'POSTGRES_PORT'] as const)(
    'starts again what is killed: the holder of %s',
    async (name) => {
      const before = await pidOn(ports[name]);
      process.kill(before, 'SIGKILL');
      await eventually(`another process listens on ${name}`, async () => {
        const now = await pidOnOrNone(ports[name]);
        return now !== undefined && now !== before;
      });
      expect(isAlive(before)).toBe(false);
      await eventually(
        'the API is ready',
        async () => (await status(ports.API_PORT, '/ready')) === 200,
      );
    },
    60_000,
  );

  test('leaves nobody on a port when it is killed itself', async () => {
    contents = await contentsOf(ports, dataDir);
    expect(contents.signingKeys).toHaveLength(1);
    expect(contents.scheduledAt).toEqual(expect.any(String));
    const killed = sure(carillon?.pid);
    process.kill(killed, 'SIGKILL');
    expect(await portsStillTaken(ports, 60_000)).toEqual([]);
    expect(isAlive(killed)).toBe(false);
  });

  test('starts again on its data: nothing is made anew, nobody is waited for', async () => {
    const again = start();
    await again.ready();
    expect(await contentsOf(ports, dataDir)).toEqual(contents);
    const said = again.lines.map(({ msg }) => String(msg)).join('\n');
    expect(said).not.toContain('schema migrated');
    expect(said).not.toContain('waiting for its processes to end');
  });

  test('starts again at once after everything was killed, without waiting for the ports', async () => {
    const servers = [
      readPid(path.join(dataDir, 'postgres.pid')) ?? 0,
      readPid(path.join(dataDir, 'temporal', 'temporal.pid')) ?? 0,
    ];
    process.kill(sure(carillon?.pid), 'SIGKILL');
    await start(['--workers', '3']).ready();
    expect(servers.filter(isAlive)).toEqual([]);
  });

  test('runs as many workers as were asked for, each a process on a port of its own', async () => {
    const workerPorts = [0, 1, 2].map((index) => ports.WORKER_PORT + index);
    const states = await Promise.all(workerPorts.map((port) => status(port, '/ready')));
    expect(states).toEqual([200, 200, 200]);
    const pids = await Promise.all(workerPorts.map(pidOn));
    expect(new Set(pids).size).toBe(3);
    const ready = carillon?.lines.filter(({ msg }) => msg === 'worker ready') ?? [];
    const parts = new Set(ready.map(({ part }) => part));
    expect(parts).toEqual(new Set(['worker-1', 'worker-2', 'worker-3', 'transactional']));
  });

  test('does not leave a server behind when its guard is killed', async () => {
    const server = sure(readPid(path.join(dataDir, 'postgres', 'postmaster.pid')));
    process.kill(sure(await parentOf(server)), 'SIGKILL');
    await eventually('another Postgres runs', () => {
      const now = readPid(path.join(dataDir, 'postgres', 'postmaster.pid'));
      return now !== undefined && now !== server && isAlive(now);
    });
    expect(isAlive(server)).toBe(false);
    await eventually(
      'the API is ready',
      async () => (await status(ports.API_PORT, '/ready')) === 200,
    );
  });

  test('stops everything when asked to', async () => {
    carillon?.child.kill('SIGTERM');
    expect(await carillon?.ended()).toBe(0);
    const { WORKER_PORT } = ports;
    const all = { ...ports, second: WORKER_PORT + 1, third: WORKER_PORT + 2 };
    expect(await portsStillTaken(all, 0)).toEqual([]);
  });

  test('says what to do about data of another major version', async () => {
    writeFileSync(path.join(dataDir, 'postgres', 'PG_VERSION'), '14\n');
    const wrong = start();
    expect(await wrong.ended()).toBe(1);
    expect(wrong.complaint()).toMatch(
      /is of Postgres 14, and this release brings Postgres 18\. Dump/,
    );
    expect(await portsStillTaken(ports, 0)).toEqual([]);
  });
});

/** A process that is there: 0 would stand for the tests' own, and all they have started. */
function sure(pid: number | undefined): number {
  if (pid === undefined || pid <= 0) {
    throw new Error('There is no such process');
  }
  return pid;
}

/** What is made once in the life of an installation. */
async function contentsOf(ports: CarillonPorts, dataDir: string) {
  const secrets = loadSecrets(dataDir);
  const db = createDatabase({
    url: postgresUrl({
      port: ports.POSTGRES_PORT,
      role: adminRole,
      password: secrets.postgresAdminPassword,
      database: 'carillon',
    }),
    applicationName: 'test',
    poolMax: 1,
  });
  const temporal = connectTemporal(
    {
      TEMPORAL_ADDRESS: `127.0.0.1:${ports.TEMPORAL_PORT}`,
      TEMPORAL_NAMESPACE: 'carillon',
      TEMPORAL_TLS: false,
    },
    inClear,
  );
  try {
    const { info } = await temporal.connection.workflowService.describeSchedule({
      namespace: 'carillon',
      scheduleId: 'reconcile',
    });
    return {
      secrets,
      tenants: await db('tenants').orderBy('id').select('id', 'created_at'),
      signingKeys: await db('signing_keys').pluck('kid'),
      scheduledAt: info?.createTime?.seconds?.toString(),
    };
  } finally {
    await Promise.all([db.destroy(), temporal.connection.close()]);
  }
}

async function status(port: number, at: string): Promise<number> {
  try {
    const response = await fetch(`http://127.0.0.1:${port}${at}`);
    await response.arrayBuffer();
    return response.status;
  } catch {
    return 0;
  }
}

async function pidOnOrNone(port: number): Promise<number | undefined> {
  const pid = /^pid (\d+)/.exec((await portHolder(port)) ?? '')?.[1];
  return pid === undefined ? undefined : Number(pid);
}

async function pidOn(port: number): Promise<number> {
  const pid = await pidOnOrNone(port);
  if (pid === undefined) {
    throw new Error(`Nobody listens on ${port}`);
  }
  return pid;
}
