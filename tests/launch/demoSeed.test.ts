import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import path from 'node:path';
import { promisify } from 'node:util';
import { z } from 'zod';
import { createApiCaller, type ApiCaller } from '../../workers/launch/demo/apiCaller';
import { temporaryFolder } from '../support/ground';
import {
  endFor,
  eventually,
  freePorts,
  startCarillon,
  type CarillonPorts,
  type StartedCarillon,
} from './carillon';

const Session = z.object({ accessToken: z.string() });
const Campaign = z.object({ id: z.string(), name: z.string(), status: z.string() });
const Metrics = z.object({ planned: z.number() });
const Inbox = z.object({ total: z.number() });
const Welcome = z.object({
  demo: z.object({ email: z.string(), password: z.string(), adminEmail: z.string() }),
  tryNext: z.array(z.object({ what: z.string(), command: z.string() })),
});

// One first start carries these tests in order.
describe('the first start', () => {
  let ports: CarillonPorts;
  let dataDir: string;
  let carillon: StartedCarillon | undefined;

  beforeAll(async () => {
    ports = await freePorts();
    dataDir = path.join(temporaryFolder('demo'), 'data');
  });

  afterAll(() => endFor(carillon));

  test('that is killed while it seeds goes on at the next start, nothing twice', async () => {
    carillon = startCarillon({ dataDir, ports });
    await eventually(
      'the customers are imported',
      () => Boolean(carillon?.lines.some(({ msg }) => msg === '2000 customers imported')),
      60_000,
    );
    carillon.child.kill('SIGKILL');
    await carillon.ended();
    expect(existsSync(path.join(dataDir, 'demo.json'))).toBe(false);

    carillon = startCarillon({ dataDir, ports });
    const api = await signedIn(ports, Welcome.parse(await carillon.ready()));
    expect(await api.count('/customers?perPage=1')).toBe(2000);
    const campaigns = await listCampaigns(api);
    expect(campaigns.map(({ name }) => name).sort()).toEqual([
      'A letter to our regulars, at their own hour',
      'Spring collection: first look',
    ]);
  });

  test('sends one campaign now, and the inbox holds what was planned, to the message', async () => {
    const welcome = Welcome.parse(await carillon?.ready());
    const api = await signedIn(ports, welcome);
    let finished: string | undefined;
    await eventually(
      'a campaign is completed',
      async () => {
        finished = (await listCampaigns(api)).find(({ status }) => status === 'completed')?.id;
        return finished !== undefined;
      },
      60_000,
    );
    const metrics = await api.call(
      { method: 'GET', path: `/campaigns/${finished}/metrics` },
      Metrics,
    );
    const response = await fetch(`http://127.0.0.1:${ports.SANDBOX_PORT}/api/messages?perPage=1`);
    const { total } = Inbox.parse(await response.json());
    expect(metrics.planned).toBeGreaterThan(1900);
    // And the mail that verifies the owner's address.
    expect(total).toBe(metrics.planned + 1);
  });

  test('leaves the other waiting for the hour of every place', async () => {
    const api = await signedIn(ports, Welcome.parse(await carillon?.ready()));
    const statuses = (await listCampaigns(api)).map(({ status }) => status).sort();
    expect(statuses).toEqual(['completed', 'scheduled']);
  });

  test('has an admin of the platform, who sees all tenants', async () => {
    const { demo } = Welcome.parse(await carillon?.ready());
    const api = await signedIn(ports, { demo: { ...demo, email: demo.adminEmail } });
    const tenants = await api.call(
      { method: 'GET', path: '/admin/tenants' },
      z.array(z.object({ name: z.string() })),
    );
    expect(tenants.map(({ name }) => name)).toContain('Bell & Brass (demo)');
  });

  test('has six keys of language models over two accounts, each with its keyring', async () => {
    const { demo } = Welcome.parse(await carillon?.ready());
    const api = await signedIn(ports, { demo: { ...demo, email: demo.adminEmail } });
    const keys = await api.call(
      { method: 'GET', path: '/admin/llm/keys/status' },
      z.array(z.object({ label: z.string(), account: z.string() })),
    );
    expect(keys.map(({ account, label }) => `${account} ${label}`).sort()).toEqual(
      [1, 2, 3].flatMap((n) => [`North north-${n}`, `South south-${n}`]).sort(),
    );
    // It reads their limits as soon as it runs.
    await eventually(
      'the keyrings have looked',
      async () => {
        const read = await api.call(
          { method: 'GET', path: '/admin/llm/keys' },
          z.array(z.object({ limit: z.unknown() })),
        );
        return read.every(({ limit }) => limit !== null);
      },
      60_000,
    );
  });

  test('asks models now and then, so that its keys can be watched at work', async () => {
    const api = await signedIn(ports, Welcome.parse(await carillon?.ready()));
    const path = '/llm/calls?outcome=succeeded';
    const listCalls = () => api.call({ method: 'GET', path }, z.array(z.unknown()));
    await eventually('a call was answered', async () => (await listCalls()).length > 0, 60_000);
    expect(await listCalls()).toContainEqual(expect.objectContaining({ feature: 'script' }));
  });

  test('prints commands that work as they are', async () => {
    const { tryNext } = Welcome.parse(await carillon?.ready());
    expect(tryNext).toHaveLength(4);
    for (const { command } of tryNext) {
      const answer: unknown = JSON.parse(await runInShell(command));
      expect(answer).not.toHaveProperty('code');
    }
  });

  test('is the only one that seeds', async () => {
    await endFor(carillon);
    carillon = startCarillon({ dataDir, ports });
    const api = await signedIn(ports, Welcome.parse(await carillon.ready()));
    expect(await listCampaigns(api)).toHaveLength(2);
    expect(carillon.lines.filter(({ msg }) => /seeding|keys of/.test(String(msg)))).toEqual([]);
  });
});

async function signedIn(
  ports: CarillonPorts,
  { demo: { email, password } }: Pick<z.output<typeof Welcome>, 'demo'>,
): Promise<ApiCaller> {
  const api = createApiCaller(`http://127.0.0.1:${ports.API_PORT}/api/v1`);
  const body = { email, password };
  const session = await api.call({ method: 'POST', path: '/auth/login', body }, Session);
  api.useToken(session.accessToken);
  return api;
}

function listCampaigns(api: ApiCaller): Promise<z.output<typeof Campaign>[]> {
  return api.call({ method: 'GET', path: '/campaigns' }, z.array(Campaign));
}

async function runInShell(command: string): Promise<string> {
  const { stdout } = await promisify(execFile)('sh', ['-c', command]);
  return stdout;
}
