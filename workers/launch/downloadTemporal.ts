/**
 * Lets the SDK fetch Temporal's development server into a folder, and ends. A process of its own,
 * so that a download that hangs can be given up.
 */
import { TestWorkflowEnvironment } from '@temporalio/testing';

async function download(downloadDir: string, version: string): Promise<void> {
  const environment = await TestWorkflowEnvironment.createLocal({
    server: { executable: { type: 'cached-download', downloadDir, version: `v${version}` } },
  });
  await environment.teardown();
}

const [folder, version] = process.argv.slice(2);
if (folder !== undefined && version !== undefined) {
  download(folder, version).catch((error: unknown) => {
    const reason = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    process.stderr.write(`${String(reason).split('\n')[0]}\n`);
    process.exit(1);
  });
}
