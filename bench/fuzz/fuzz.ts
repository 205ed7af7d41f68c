/**
 * Asks every operation of the OpenAPI document things it never thought of, with valid tokens, and
 * fails on each answer of ours that is a 5xx or is not as the document says.
 */
import { readFileSync } from 'node:fs';
import path from 'node:path';
import { loadConfig } from '../../lib/config';
import { offerModels } from '../../tests/support/llmKeys';
import { startProcessGround, type ProcessGround } from '../chaos/ground';
import { openDoor } from './doorman';
import { furnish, sendGridKeys, trackingSecret } from './furnish';
import { parseFuzzOptions, type FuzzOptions } from './options';
import { readReport } from './report';
import { createResidents } from './residents';
import { findSchemathesis, runSchemathesis } from './schemathesis';
import { signed } from './signatures';
import { reportName, writeSettings } from './settings';

async function main(): Promise<void> {
  const options = parseFuzzOptions(process.argv.slice(2));
  const program = await findSchemathesis({
    cacheDir: loadConfig().CARILLON_CACHE_DIR,
    onProgress: say,
  });
  say('starting a worker, API, sandbox, Temporal and Postgres');
  const ground = await startProcessGround({
    workers: 1,
    leaseMs: 20_000,
    providerTimeoutMs: 2_000,
    sliceMs: 5_000,
    seed: String(options.seed),
    keep: options.keep,
    environment: {
      TRACKING_SECRET: trackingSecret,
      RATE_LIMIT_AUTH_PER_MIN: '0',
      RATE_LIMIT_API_PER_MIN: '0',
      RATE_LIMIT_UPLOAD_PER_MIN: '0',
    },
  });
  try {
    process.exitCode = await fuzz(ground, options, program);
  } finally {
    await ground.stop();
    if (options.keep) {
      say(`logs and data are kept in ${ground.folder}`);
    }
  }
}

async function fuzz(ground: ProcessGround, options: FuzzOptions, program: string): Promise<number> {
  await offerModels(ground.db);
  const residents = createResidents(ground, (tenant) => furnish(ground, tenant));
  await residents.tokenFor(null);
  const signer = {
    platformKeyPem: readFileSync(path.join(ground.folder, 'webhook-key.pem'), 'utf8'),
    accountKeyPem: sendGridKeys.privateKeyPem,
  };
  const door = await openDoor({
    token: (permission) => residents.tokenFor(permission),
    facts: (path) => residents.facts(path),
    signature: (post) => signed(post, signer),
    keysChanged: () => ground.accessTokens.reload(),
  });
  try {
    const settings = writeSettings(ground, options);
    const code = await runSchemathesis({
      program,
      args: [
        '--config-file',
        settings,
        'run',
        `${ground.apiUrl}/openapi.json`,
        ...(options.only === undefined ? [] : ['--include-operation-id-regex', options.only]),
      ],
      environment: { SCHEMATHESIS_HOOKS: 'hooks', PYTHONPATH: __dirname, FUZZ_DOORMAN: door.url },
      cwd: ground.folder,
      limitMs: options.limitMs,
    });
    say(`${residents.replaced} identities were replaced because of what was done to them`);
    if (code === null) {
      say('the run was stopped at its limit');
      return 1;
    }
    const { neverDone, ...figures } = readReport(path.join(ground.folder, reportName));
    say(`never done, only refused: ${neverDone.join(', ') || 'none'}`);
    process.stdout.write(`${JSON.stringify({ ...figures, replaced: residents.replaced })}\n`);
    return code;
  } finally {
    await door.close();
  }
}

function say(text: string): void {
  process.stderr.write(`${text}\n`);
}

main().catch((error: unknown) => {
  say(error instanceof Error ? (error.stack ?? error.message) : String(error));
  process.exitCode = 1;
});
