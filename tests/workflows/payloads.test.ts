import { NativeConnection } from '@temporalio/worker';
import { createCampaignWorkflows } from '../../clients/campaigns';
import { createDataConverter } from '../../clients/dataConverter';
import { PayloadError } from '../../lib/payloadCodec';
import { connectTemporal } from '../../lib/temporal';
import { campaignWorkflowId } from '../../workflows/campaigns/messages';
import { startWorker, type RunningWorker } from '../../workers/worker';
import {
  startCampaignGround,
  startRun,
  workflowBundle,
  type CampaignGround,
} from '../support/campaignGround';
import { until } from '../support/conditions';
import { inClear, testDataKeys } from '../support/dataConverter';
import { exportWorkflows } from '../support/exportedHistories';
import { insertCampaign, insertCustomers, insertTenant } from '../support/records';
import { temporalAddress } from '../support/temporal';

let ground: CampaignGround;

beforeAll(async () => {
  ground = await startCampaignGround();
});

// Two workers of one namespace would share the tasks, so a test's own goes with it.
let worker: RunningWorker | undefined;

afterEach(async () => {
  await worker?.stop();
  worker = undefined;
});

afterAll(() => ground.stop());

interface Prepared {
  tenantId: string;
  campaignId: string;
  workflowId: string;
}

async function prepare(): Promise<Prepared> {
  const tenantId = await insertTenant(ground.db);
  await insertCustomers(ground.db, tenantId, [{ email: 'ana@example.com' }]);
  const campaignId = await insertCampaign(ground.db, tenantId);
  return { tenantId, campaignId, workflowId: campaignWorkflowId(tenantId, campaignId) };
}

const resultOf = ({ workflowId }: Prepared) =>
  ground.temporal.client.workflow.getHandle(workflowId).result();

async function exportOf({ campaignId }: Prepared) {
  const { workflows } = await exportWorkflows(ground.temporal.client, ground.namespace);
  return workflows.filter(({ workflowId }) => workflowId.includes(campaignId));
}

test('what a failure quotes is encrypted, message and stack trace', async () => {
  worker = await ground.startWorker({
    planner: () => {
      throw new Error('no wave for eve@people.example');
    },
  });
  const campaign = await prepare();
  await startRun(ground, campaign.tenantId, campaign.campaignId, { schedule: { kind: 'now' } });
  const told = await until('a failed attempt', async () => {
    const workflows = await exportOf(campaign);
    return workflows.some(({ clear }) => clear.includes('no wave for')) && workflows;
  });
  expect(told.some(({ clear }) => clear.includes('eve@people.example'))).toBe(true);
  expect(told.some(({ clear }) => clear.includes('payloads.test.ts'))).toBe(true);
  expect(told.some(({ raw }) => /eve@people\.example|payloads\.test\.ts/.test(raw))).toBe(false);
  expect(told.some(({ raw }) => raw.includes('Encoded failure'))).toBe(true);

  await ground.temporal.client.workflow.getHandle(campaign.workflowId).terminate();
});

test('a workflow whose input was never encrypted goes on with a worker that encrypts', async () => {
  const campaign = await prepare();
  const clear = connectTemporal(
    {
      TEMPORAL_ADDRESS: temporalAddress(),
      TEMPORAL_NAMESPACE: ground.namespace,
      TEMPORAL_TLS: false,
    },
    inClear,
  );
  const run = await startRun(ground, campaign.tenantId, campaign.campaignId, {
    schedule: { kind: 'now' },
    startWorkflow: false,
  });
  await createCampaignWorkflows(clear).startCampaign({ ...run, name: 'Begun in clear' });
  await clear.connection.close();

  worker = await ground.startWorker();
  await resultOf(campaign);
  const whole = (await exportOf(campaign)).find(
    ({ workflowId }) => workflowId === campaign.workflowId,
  );
  expect(whole?.raw).toContain('Begun in clear');
  const encodings = whole?.payloads.map(({ metadata }) =>
    Buffer.from(metadata?.['encoding'] ?? []).toString(),
  );
  expect(new Set(encodings)).toEqual(new Set(['json/plain', 'binary/encrypted']));
});

test('while a key is not to be had tasks fail and are retried, and nothing else does', async () => {
  const keys = testDataKeys(ground.db);
  await keys.prepare();
  let isAway = true;
  const connection = await NativeConnection.connect({ address: temporalAddress() });
  worker = await startWorker({
    connection,
    namespace: ground.namespace,
    identity: 'without-keys',
    bundlePath: await workflowBundle(),
    deps: ground.deps,
    dataConverter: createDataConverter({
      current: (tenantId) => keys.current(tenantId),
      byId: (id) =>
        isAway
          ? Promise.reject(new PayloadError('keyUnavailable', 'A data key is not to be had now.'))
          : keys.byId(id),
    }),
  });
  const campaign = await prepare();
  await startRun(ground, campaign.tenantId, campaign.campaignId, { schedule: { kind: 'now' } });
  const handle = ground.temporal.client.workflow.getHandle(campaign.workflowId);
  await until('a task that failed', async () => {
    const { events } = await handle.fetchHistory();
    return events?.some((event) => event.workflowTaskFailedEventAttributes != null);
  });
  expect((await handle.describe()).status.name).toBe('RUNNING');

  isAway = false;
  await handle.result();
  expect((await handle.describe()).status.name).toBe('COMPLETED');
  await worker.stop();
  await connection.close();
});
