import { createKeyrings } from '../../clients/keyrings';
import { createLogger } from '../../lib/logger';
import { connectTemporal } from '../../lib/temporal';
import { keyringWorkflowId } from '../../workflows/llm/messages';
import { freePort } from '../../workers/launch/ports';
import { newId } from '../../lib/ids';
import { until } from '../support/conditions';
import { inClear } from '../support/dataConverter';
import { createTestNamespace } from '../support/namespace';
import { startTemporal, temporalAddress, testNamespace } from '../support/temporal';

const logger = createLogger({ name: 'test', level: 'fatal' });

const connect = (address: string, namespace: string) =>
  connectTemporal(
    { TEMPORAL_ADDRESS: address, TEMPORAL_NAMESPACE: namespace, TEMPORAL_TLS: false },
    inClear,
  );

const accountOf = () => ({ accountId: newId(), tenantId: null, name: 'Acme', keys: 2 });

async function signalsOf(temporal: ReturnType<typeof connect>, accountId: string) {
  const { events } = await temporal.client.workflow
    .getHandle(keyringWorkflowId(accountId))
    .fetchHistory();
  return (events ?? []).flatMap(
    ({ workflowExecutionSignaledEventAttributes: signal }) => signal?.signalName ?? [],
  );
}

test('a keyring is started once, however often, and told of many changes at once', async () => {
  const temporal = connect(temporalAddress(), await createTestNamespace());
  const keyrings = createKeyrings(temporal, logger, { tellEveryMs: 100 });
  const account = accountOf();
  await Promise.all([keyrings.ensure([account]), keyrings.ensure([account, accountOf()])]);
  const { accountId } = account;
  const stranger = newId();
  for (let n = 0; n < 200; n += 1) {
    keyrings.stateChanged([accountId, stranger]);
    keyrings.wanted([accountId]);
  }
  await until('both to be told', async () => (await signalsOf(temporal, accountId)).length >= 2);
  await keyrings.close();
  const told = await signalsOf(temporal, accountId);
  expect(told.filter((name) => name === 'wanted')).toHaveLength(1);
  expect(told.filter((name) => name === 'keyStateChanged').length).toBeLessThanOrEqual(2);
  // One that is not there is the reconciler's to start.
  await expect(
    temporal.client.workflow.getHandle(keyringWorkflowId(stranger)).describe(),
  ).rejects.toThrow('not found');
  await temporal.connection.close();
});

test('an account whose keyring cannot be started keeps no other from having one', async () => {
  const temporal = connect(temporalAddress(), await createTestNamespace());
  const keyrings = createKeyrings(temporal, logger);
  const impossible = { ...accountOf(), accountId: 'x'.repeat(2_000) };
  const others = Array.from({ length: 15 }, accountOf);
  await expect(keyrings.ensure([impossible, ...others])).rejects.toThrow(
    'Failed to start Workflow',
  );
  const described = await Promise.all(
    others.map(({ accountId }) =>
      temporal.client.workflow.getHandle(keyringWorkflowId(accountId)).describe(),
    ),
  );
  expect(new Set(described.map(({ status }) => status.name))).toEqual(new Set(['RUNNING']));
  await keyrings.close();
  await temporal.connection.close();
});

test('what cannot be told while Temporal is away is told when it is back', async () => {
  const server = await startTemporal();
  const temporal = connect(server.address, testNamespace);
  const keyrings = createKeyrings(temporal, logger, { startMs: 1_000, tellEveryMs: 50 });
  const account = accountOf();
  await keyrings.ensure([account]);
  await server.kill9();
  keyrings.stateChanged([account.accountId]);
  await expect(keyrings.ensure([account])).rejects.toThrow('Failed to start Workflow');
  await server.restart();
  await until('it to be told', async () => {
    const told = await signalsOf(temporal, account.accountId).catch((): string[] => []);
    return told.includes('keyStateChanged');
  });
  await keyrings.close();
  await temporal.connection.close();
  await server.stop();
});

test('whoever tells waits for nothing and never fails, and ending waits for no server', async () => {
  const temporal = connect(`127.0.0.1:${await freePort()}`, testNamespace);
  const keyrings = createKeyrings(temporal, logger, { startMs: 500 });
  for (let n = 0; n < 5_000; n += 1) {
    keyrings.stateChanged([newId()]);
  }
  await expect(
    keyrings.steer('pause', accountOf(), { keyId: newId(), isWritten: true }),
  ).rejects.toThrow('Failed to start Workflow');
  const signals = jest.spyOn(temporal.client.workflow, 'getHandle');
  await keyrings.close();
  // Those that were under way end at their deadline; of the many that wait none is tried any more.
  expect(signals).not.toHaveBeenCalled();
  await temporal.connection.close();
});
