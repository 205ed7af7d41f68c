import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';
import { historyFromJSON } from '@temporalio/common/lib/proto-utils';
import { DefaultLogger, Runtime, Worker } from '@temporalio/worker';
import { workflowBundle } from '../support/campaignGround';

const folder = path.join(__dirname, 'histories');

// Histories of campaigns that were really sent, steered and cancelled; tests/replay/record.ts
// writes new ones. Running workflows of the last release must go on with this code.
test.each(readdirSync(folder))('replays %s', async (name) => {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const { workflowId, history } = JSON.parse(readFileSync(path.join(folder, name), 'utf8'));
  const replayed = Worker.runReplayHistory(
    { workflowBundle: { codePath: await workflowBundle() } },
    historyFromJSON(history),
    workflowId,
  );
  await expect(replayed).resolves.toBeUndefined();
});
