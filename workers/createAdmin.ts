import { randomBytes } from 'node:crypto';
import { parseArgs } from 'node:util';
import { email as emailSchema } from '../domain/customers/schema';
import { loadConfig } from '../lib/config';
import { createDatabase } from '../lib/db';
import { hashPassword } from '../lib/passwords';
import { acrossTenants } from '../models/base';
import { makePlatformAdmin } from '../models/identity/admins';

const usage = `npm run admin:create -- --email ana@example.com
    makes a platform admin and prints a password that is good for one day and one purpose: to choose
    another one
npm run admin:create -- --email ana@example.com --existing
    makes the person who has this account an admin; their password stays
`;

const passwordHours = 24;
const tell = (text: string) => process.stdout.write(`${text}\n`);

/** The one way to become a platform admin: by somebody who has the database's address. */
async function main(args: string[]): Promise<void> {
  const { values } = parseArgs({
    args,
    options: { email: { type: 'string' }, existing: { type: 'boolean', default: false } },
  });
  const address = emailSchema.safeParse(values.email);
  if (!address.success) {
    process.stderr.write(usage);
    process.exitCode = 2;
    return;
  }
  const config = loadConfig(['DATABASE_URL']);
  const db = createDatabase({ url: config.DATABASE_URL, applicationName: 'carillon-admin' });
  const password = randomBytes(15).toString('base64url');
  try {
    const passwordHash = await hashPassword(password);
    const made = await acrossTenants(db, 'identity', (trx) =>
      makePlatformAdmin(trx, {
        email: address.data,
        passwordHash,
        expiresAt: new Date(Date.now() + passwordHours * 3_600_000),
        mayPromote: values.existing,
      }),
    );
    report(made, address.data, password);
  } finally {
    await db.destroy();
  }
}

function report(
  made: Awaited<ReturnType<typeof makePlatformAdmin>>,
  address: string,
  password: string,
) {
  if (made === 'exists') {
    process.stderr.write(
      `${address} has an account already. To make its person an admin, add --existing.\n`,
    );
    process.exitCode = 1;
    return;
  }
  tell(`${address} is a platform admin.`);
  if (made === 'created') {
    tell(`One-time password, shown this once and good for ${passwordHours} hours: ${password}`);
    tell('Log in with it and choose another one: PUT /api/v1/users/me/password.');
  }
}

main(process.argv.slice(2)).catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exit(1);
});
