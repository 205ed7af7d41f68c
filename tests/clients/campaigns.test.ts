import { createServer, type Server, type Socket } from 'node:net';
import {
  isGrpcDeadlineError,
  WorkflowExecutionAlreadyStartedError,
  WorkflowNotFoundError,
  WorkflowUpdateRPCTimeoutOrCancelledError,
} from '@temporalio/client';
import { createCampaignWorkflows, type StartableRun } from '../../clients/campaigns';
import { newId } from '../../lib/ids';
import { connectTemporal, type Temporal } from '../../lib/temporal';
import { freePort } from '../../workers/launch/ports';
import { campaignWorkflowId } from '../../workflows/campaigns/messages';
import { inClear } from '../support/dataConverter';
import { createTestNamespace } from '../support/namespace';
import { temporalAddress } from '../support/temporal';

const grpcUnavailable = 14;
// Longer than any test may take.
const patienceMs = 600_000;

// No worker listens in this namespace: workflows start and stand still.
let temporal: Temporal;

beforeAll(async () => {
  const namespace = await createTestNamespace();
  temporal = temporalAt(temporalAddress(), namespace);
});

afterAll(async () => {
  await temporal.connection.close();
});

describe('startCampaign', () => {
  test('starts one workflow for a run, however often it is asked to', async () => {
    const workflows = createCampaignWorkflows(temporal);
    const run = newRun();
    await Promise.all([
      workflows.startCampaign(run),
      workflows.startCampaign(run),
      workflows.startCampaign(run),
    ]);
    const first = await standingOf(run);
    await workflows.startCampaign(run);

    expect((await standingOf(run)).runId).toBe(first.runId);
    expect(first.memo).toEqual({ runId: run.id });
  });

  test('rejects while an older run of the campaign holds the workflow, and starts after it', async () => {
    const workflows = createCampaignWorkflows(temporal);
    const older = newRun();
    const newer = { ...older, id: newId(), n: 2 };
    await workflows.startCampaign(older);

    expect(await rejectionOf(workflows.startCampaign(newer))).toBeInstanceOf(
      WorkflowExecutionAlreadyStartedError,
    );
    expect((await standingOf(older)).memo).toEqual({ runId: older.id });

    await handleOf(older).terminate();
    await workflows.startCampaign(newer);
    expect((await standingOf(newer)).memo).toEqual({ runId: newer.id });
  });

  test.each([
    ['many bytes a character', '鐘'.repeat(100)],
    ['characters of two units', '🔔'.repeat(50)],
    ['nothing but quotes', '"'.repeat(100)],
  ])('takes a name of %s', async (_, name) => {
    const run = { ...newRun(), name };
    await createCampaignWorkflows(temporal).startCampaign(run);

    expect((await standingOf(run)).status.name).toBe('RUNNING');
  });

  test('rejects at once when no server is there', async () => {
    const away = temporalAt(`127.0.0.1:${await freePort()}`, 'carillon');
    try {
      const error = await rejectionOf(createCampaignWorkflows(away).startCampaign(newRun()));
      expect(error).toMatchObject({ cause: { code: grpcUnavailable } });
    } finally {
      await away.connection.close();
    }
  });

  test('rejects at its deadline when the server is there and silent', async () => {
    const sockets: Socket[] = [];
    const silent = createServer((socket) => sockets.push(socket));
    const port = await listen(silent);
    const away = temporalAt(`127.0.0.1:${port}`, 'carillon');
    try {
      const patient = createCampaignWorkflows(away, { startMs: patienceMs });
      const ended = jest.fn();
      void patient.startCampaign(newRun()).then(ended, ended);
      const workflows = createCampaignWorkflows(away, { startMs: 300 });
      const error = await rejectionOf(workflows.startCampaign(newRun()));
      expect(isGrpcDeadlineError(error)).toBe(true);
      expect(ended).not.toHaveBeenCalled();
    } finally {
      await away.connection.close();
      // Closing a server leaves the connections it has taken.
      for (const socket of sockets) {
        socket.destroy();
      }
      silent.close();
    }
  });
});

describe('steerCampaign', () => {
  test('rejects within its deadline when no worker takes it up', async () => {
    const workflows = createCampaignWorkflows(temporal, { steerMs: 300 });
    const run = newRun();
    await workflows.startCampaign(run);
    const patient = createCampaignWorkflows(temporal, { steerMs: patienceMs });
    const ended = jest.fn();
    const waiting = patient.steerCampaign('pause', run, {}).then(ended, ended);

    expect(await rejectionOf(workflows.steerCampaign('pause', run, {}))).toBeInstanceOf(
      WorkflowUpdateRPCTimeoutOrCancelledError,
    );
    expect(ended).not.toHaveBeenCalled();
    await handleOf(run).terminate();
    await waiting;
  });

  test('rejects for a campaign without a workflow', async () => {
    const workflows = createCampaignWorkflows(temporal);

    expect(await rejectionOf(workflows.steerCampaign('cancel', newRun(), {}))).toBeInstanceOf(
      WorkflowNotFoundError,
    );
  });
});

describe('signals', () => {
  test('reach a living campaign', async () => {
    const workflows = createCampaignWorkflows(temporal);
    const run = newRun();
    await workflows.startCampaign(run);
    await workflows.signalSteering(run);

    const { events } = await handleOf(run).fetchHistory();
    const names = (events ?? []).map(
      (event) => event.workflowExecutionSignaledEventAttributes?.signalName,
    );
    expect(names).toContain('recordsChanged');
  });

  test('are no error where the workflow is gone', async () => {
    const workflows = createCampaignWorkflows(temporal);
    const run = newRun();

    await expect(workflows.signalSteering(run)).resolves.toBeUndefined();
    await expect(workflows.signalRun({ ...run, runN: 1 })).resolves.toBeUndefined();
  });
});

test('knows a campaign that lives from one that ended and one that never was', async () => {
  const workflows = createCampaignWorkflows(temporal);
  const run = newRun();

  expect(await workflows.isRunAlive(run)).toBe(false);
  await workflows.startCampaign(run);
  expect(await workflows.isRunAlive(run)).toBe(true);
  await handleOf(run).terminate();
  expect(await workflows.isRunAlive(run)).toBe(false);
});

function temporalAt(address: string, namespace: string): Temporal {
  return connectTemporal(
    {
      TEMPORAL_ADDRESS: address,
      TEMPORAL_NAMESPACE: namespace,
      TEMPORAL_TLS: false,
    },
    inClear,
  );
}

function newRun(): StartableRun {
  return {
    id: newId(),
    tenantId: newId(),
    campaignId: newId(),
    n: 1,
    channel: 'email',
    name: 'Spring collection',
  };
}

function handleOf({ tenantId, campaignId }: StartableRun) {
  return temporal.client.workflow.getHandle(campaignWorkflowId(tenantId, campaignId));
}

function standingOf(run: StartableRun) {
  return handleOf(run).describe();
}

function rejectionOf(work: Promise<unknown>): Promise<unknown> {
  return work.then(
    () => Promise.reject(new Error('It did not reject')),
    (error: unknown) => error,
  );
}

function listen(server: Server): Promise<number> {
  return new Promise((resolve, reject) => {
    server.once('error', reject);
    server.listen(0, '127.0.0.1', () => {
      const address = server.address();
      resolve(typeof address === 'object' && address !== null ? address.port : 0);
    });
  });
}
