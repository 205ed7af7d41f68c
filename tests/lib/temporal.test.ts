import { setImmediate as turn } from 'node:timers/promises';
import { defaultDataConverter } from '@temporalio/common';
import { connectTemporal } from '../../lib/temporal';

test('keeps every deadline to its end, and no storage after the last', async () => {
  const { connection } = connectTemporal(
    { TEMPORAL_ADDRESS: '127.0.0.1:1', TEMPORAL_NAMESPACE: 'none', TEMPORAL_TLS: false },
    defaultDataConverter,
  );
  const deadlineNow = () => connection.callContextStorage.getStore()?.deadline;
  const soon = Date.now() + 1_000;
  const late = Date.now() + 60_000;

  const outer = connection.withDeadline(late, async () => {
    await turn();
    const inner = await Promise.all(
      [soon, late].map((deadline) =>
        connection.withDeadline(deadline, async () => {
          await turn();
          return deadlineNow();
        }),
      ),
    );
    await turn();
    return { inner, own: deadlineNow() };
  });
  const during = await outer;
  const failed = connection.withDeadline(soon, () => Promise.reject(new Error('no')));
  await expect(failed).rejects.toThrow('no');
  // Seen from a scope that nobody counts, which loses what it held with the storage.
  const after = await connection.callContextStorage.run({ deadline: late }, async () => {
    await connection.withDeadline(soon, () => turn());
    return deadlineNow();
  });
  await connection.close();

  expect(during).toEqual({ inner: [soon, late], own: late });
  expect(after).toBeUndefined();
});
