import { loadConfig } from '../lib/config';
import { createDatabase } from '../lib/db';
import { isId } from '../lib/ids';
import { createSealing, parseSealingKeys } from '../lib/sealing';
import { rotateDataKey } from '../models/identity/dataKeys';

const usage = `npm run rotate-data-key -- TENANT    payloads of this tenant get a new key
npm run rotate-data-key -- platform  payloads of the platform's own workflows do
`;

/** What an operator does when a data key may have got into wrong hands. */
async function main([whose, ...rest]: string[]): Promise<void> {
  if (whose === undefined || rest.length > 0 || (whose !== 'platform' && !isId(whose))) {
    process.stderr.write(usage);
    process.exitCode = 2;
    return;
  }
  const config = loadConfig(['DATABASE_URL', 'SEALING_KEYS']);
  const db = createDatabase({
    url: config.DATABASE_URL,
    applicationName: 'carillon-rotate-data-key',
    poolMax: 1,
  });
  try {
    const sealing = createSealing(parseSealingKeys(config.SEALING_KEYS));
    const made = await rotateDataKey(db, sealing, whose === 'platform' ? null : whose);
    if (made === null) {
      throw new Error(`There is no tenant ${whose}.`);
    }
    process.stdout.write(`${made.keyId} is in use everywhere within five minutes.\n`);
  } finally {
    await db.destroy();
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
