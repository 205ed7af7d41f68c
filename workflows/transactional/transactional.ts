import { condition, continueAsNew, setCurrentDetails } from '@temporalio/workflow';
import { records, transactionalSlices } from '../proxies';

// Two, so that one is at work while the other changes from a slice to the next.
const lanes = 2;
const sliceMs = 60_000;
const roundsBeforeNewHistory = 150;
const tendEvery = '5 minutes';

/**
 * Sends what tenants ask for one by one, for ever; one of it runs, for all tenants. Beside its lanes
 * it ends the standing runs of days before, once nothing of them is open.
 */
export async function transactional(): Promise<void> {
  let working = lanes;
  let calls = 0;
  const show = () =>
    setCurrentDetails(
      `${lanes} lanes. ${calls} calls since this history began; what leaves now is told by the heartbeats.`,
    );

  async function work(lane: number): Promise<void> {
    // Lanes end their slices at different times.
    let forMs = (sliceMs * (lane + 1)) / lanes;
    for (let round = 0; round < roundsBeforeNewHistory; round += 1) {
      const sent = await transactionalSlices.sendMessages.executeWithOptions(
        { summary: `Lane ${lane + 1} of ${lanes}: messages of all tenants, as they are asked for` },
        [{ forMs }],
      );
      calls += sent.calls;
      show();
      forMs = sliceMs;
    }
    working -= 1;
  }

  async function tend(): Promise<void> {
    while (working > 0) {
      await records.tendStandingRuns();
      await condition(() => working === 0, tendEvery);
    }
  }

  show();
  await Promise.all([...Array.from({ length: lanes }, (_, lane) => work(lane)), tend()]);
  await continueAsNew<typeof transactional>();
}
