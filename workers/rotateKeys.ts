import { loadConfig } from '../lib/config';
import { createDatabase } from '../lib/db';
import { createSealing, parseSealingKeys } from '../lib/sealing';
import { audit } from '../models/identity/audit';
import { rotateSigningKeys } from '../models/identity/signingKeys';

const usage = 'npm run keys:rotate [-- --at-once]\n';

/** Makes a new key sign the access tokens; `--at-once` is for a key that got into wrong hands. */
async function main(flags: string[]): Promise<void> {
  const atOnce = flags.includes('--at-once');
  if (flags.length > (atOnce ? 1 : 0)) {
    process.stderr.write(usage);
    process.exitCode = 2;
    return;
  }
  const config = loadConfig(['DATABASE_URL', 'SEALING_KEYS']);
  const db = createDatabase({ url: config.DATABASE_URL, applicationName: 'carillon-keys' });
  try {
    const kid = await rotateSigningKeys(db, createSealing(parseSealingKeys(config.SEALING_KEYS)), {
      atOnce,
      alongside: (trx, made) =>
        audit(trx, {
          tenantId: null,
          actor: { kind: 'operator', id: null },
          action: 'signingKey.rotated',
          target: { kind: 'signingKey', id: made },
          after: { atOnce },
        }),
    });
    process.stdout.write(
      atOnce
        ? `The key ${kid} signs from now on; tokens of the others are over within a minute.\n`
        : `The key ${kid} is published and signs in a few minutes.\n`,
    );
  } finally {
    await db.destroy();
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
