import { Client } from 'pg';
import { errorCode } from '../../lib/errorCode';

const connectTimeoutMs = 5000;

/** What is wrong with the address of a database, as a sentence that says what to do; undefined when it works. */
export async function databaseProblem(
  url: string,
  variable: 'DATABASE_URL' | 'MIGRATION_DATABASE_URL' = 'DATABASE_URL',
): Promise<string | undefined> {
  const problem = await problemOf(url);
  return problem?.replace(/^DATABASE_URL/, variable);
}

async function problemOf(url: string): Promise<string | undefined> {
  let target: { host: string; name: string; user: string };
  try {
    const { host, pathname, username } = new URL(url);
    target = {
      host: host === '' ? 'localhost' : host,
      name: decodeURIComponent(pathname.slice(1)),
      user: decodeURIComponent(username),
    };
  } catch {
    return 'DATABASE_URL is not an address. It looks like postgres://user:password@host:5432/database, with special letters of the password percent-encoded.';
  }
  const client = new Client({
    connectionString: url,
    connectionTimeoutMillis: connectTimeoutMs,
    application_name: 'carillon-start',
  });
  // An error after the connection failed is of no more interest.
  client.on('error', () => undefined);
  try {
    await client.connect();
    await client.query('select 1');
    return undefined;
  } catch (error) {
    return sentenceFor(error, target);
  } finally {
    await client.end().catch(() => undefined);
  }
}

function sentenceFor(
  error: unknown,
  { host, name, user }: { host: string; name: string; user: string },
): string {
  const code = codeOf(error);
  const reason =
    error instanceof Error && error.message !== ''
      ? error.message
      : (code ?? 'no reason was given');
  switch (code ?? '') {
    case 'ECONNREFUSED':
      return `DATABASE_URL: nothing answers at ${host}. Start that Postgres, correct the address, or unset DATABASE_URL to use the embedded one.`;
    case 'ENOTFOUND':
    case 'EAI_AGAIN':
      return `DATABASE_URL: the host name of ${host} does not resolve. Correct it, or unset DATABASE_URL to use the embedded Postgres.`;
    case '28P01':
    case '28000':
      return `DATABASE_URL: Postgres at ${host} refuses the user "${user}" (${reason}). Correct user and password; special letters must be percent-encoded.`;
    case '3D000':
      return `DATABASE_URL: Postgres at ${host} has no database "${name}". Create it (createdb -h … "${name}") or correct the name.`;
    default:
      return `DATABASE_URL: Postgres at ${host} cannot be used: ${reason}. Correct DATABASE_URL, or unset it to use the embedded one.`;
  }
}

// Several addresses of one host fail as one error that holds the real ones.
function codeOf(error: unknown): string | undefined {
  return error instanceof AggregateError && error.errors.length > 0
    ? errorCode(error.errors[0])
    : errorCode(error);
}
