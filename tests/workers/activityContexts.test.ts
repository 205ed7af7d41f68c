import { AsyncLocalStorage } from 'node:async_hooks';
import { setImmediate as turn } from 'node:timers/promises';
import { asyncLocalStorage, Context, activityInfo } from '@temporalio/activity';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger, type ActivityInterceptorsFactory } from '@temporalio/worker';
import { createActivityContexts } from '../../workers/activityContexts';

const callContextStorage: Parameters<typeof createActivityContexts>[0]['callContextStorage'] =
  new AsyncLocalStorage();

function runAs<T>(
  activityType: string,
  contexts: ActivityInterceptorsFactory,
  work: () => Promise<T>,
): Promise<T> {
  const environment = new MockActivityEnvironment(
    { activityType },
    { interceptors: [contexts], logger: new DefaultLogger('ERROR') },
  );
  // As a worker's activities have a client of their own.
  return callContextStorage.run({ metadata: {} }, () => environment.run(work));
}

function areKept() {
  return {
    context: asyncLocalStorage.getStore() !== undefined,
    call: callContextStorage.getStore() !== undefined,
  };
}

test('keeps no contexts while slices run that have asked for theirs', async () => {
  const contexts = createActivityContexts({ callContextStorage });

  const slice = await runAs('dispatchSlice', contexts, async () => {
    const { activityType } = Context.current().info;
    await turn();
    return { activityType, later: areKept() };
  });

  expect(slice).toEqual({ activityType: 'dispatchSlice', later: { context: false, call: false } });
});

test('keeps the context of an activity that asks for it late, whatever begins and ends beside it', async () => {
  const contexts = createActivityContexts({ callContextStorage });
  const slice = () =>
    runAs('dispatchSlice', contexts, async () => {
      const { activityType } = Context.current().info;
      await turn();
      return activityType;
    });

  const plan = runAs('planAudience', contexts, async () => {
    await turn();
    const beside = await Promise.all([slice(), slice()]);
    await turn();
    return { own: activityInfo().activityType, beside, later: areKept() };
  });

  await expect(plan).resolves.toEqual({
    own: 'planAudience',
    beside: ['dispatchSlice', 'dispatchSlice'],
    later: { context: true, call: true },
  });
});

test('keeps contexts until the last activity has ended that may ask, also when it fails', async () => {
  const contexts = createActivityContexts({ callContextStorage });
  let endSlice: () => void = () => undefined;
  const sliceMayEnd = new Promise<void>((resolve) => {
    endSlice = resolve;
  });
  const seen: ReturnType<typeof areKept>[] = [];
  const slice = runAs('sendMessages', contexts, async () => {
    await sliceMayEnd;
    seen.push(areKept());
  });
  const failing = runAs('planAudience', contexts, async () => {
    await turn();
    throw new Error(activityInfo().activityType);
  });

  await expect(failing).rejects.toThrow('planAudience');
  endSlice();
  await slice;

  expect(seen).toEqual([{ context: false, call: false }]);
  const next = await runAs('sendTest', contexts, async () => {
    await turn();
    return activityInfo().activityType;
  });
  expect(next).toBe('sendTest');
});
