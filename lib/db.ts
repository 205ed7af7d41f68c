import knex, { type Knex } from 'knex';
import { Query, types, type Client, type QueryConfig } from 'pg';

export type { Knex } from 'knex';

// Counts come back as int8; every one of ours fits a double exactly.
types.setTypeParser(types.builtins.INT8, (text) => Number(text));

const ignore = () => undefined;

/** A pool of connections. `applicationName` is what an operator sees in pg_stat_activity. */
export function createDatabase(options: {
  url: string;
  applicationName: string;
  poolMax?: number;
}): Knex {
  // Knex's types do not know pg's newest option.
  const connection: Knex.PgConnectionConfig & { pipeline: boolean } = {
    connectionString: options.url,
    application_name: options.applicationName,
    keepAlive: true,
    // Statements that don't wait for each other are on their way together (inOneTrip).
    pipeline: true,
    // A process that is stopped in a transaction keeps its locks from everybody else, so the
    // server ends the transaction for it. Ours never think this long between two statements.
    idle_in_transaction_session_timeout: 5_000,
  };
  return knex({
    client: 'pg',
    connection,
    // A new connection plans every statement anew, so those of a busy hour outlast its pauses.
    pool: { min: 0, max: options.poolMax ?? 10, idleTimeoutMillis: 10 * 60_000 },
    acquireConnectionTimeout: 10_000,
    // What fails is thrown and logged by whoever asked; Knex would print it as plain text.
    log: { warn: ignore, error: ignore, debug: ignore, deprecate: ignore },
  });
}

/**
 * A pool of its own to the same database, whose connections have these settings from their start and
 * keep them: what each transaction would otherwise set anew.
 */
export function besideDatabase(
  db: Knex,
  { poolMax, settings }: { poolMax: number; settings: Readonly<Record<string, string>> },
): Knex {
  const names = Object.keys(settings);
  const text = `select ${names.map((_, n) => `set_config($${2 * n + 1}, $${2 * n + 2}, false)`).join(', ')}`;
  const values = Object.entries(settings).flat();
  const config: Knex.Config = db.client.config;
  return knex({
    ...config,
    pool: {
      ...config.pool,
      max: poolMax,
      afterCreate(connection: Client, done: (error: Error | null, made: Client) => void) {
        connection.query({ text, values }).then(
          () => done(null, connection),
          (error: Error) => done(error, connection),
        );
      },
    },
  });
}

/** A row as a list of cells, which takes half the time of one with names. */
// oxlint-disable-next-line typescript/no-explicit-any -- pg types no cell
export type Cells = any[];

// oxlint-disable-next-line typescript/no-explicit-any -- as pg and Knex type them
export type Rows = any[];

/** A statement of `inOneTrip`; `onRow` takes its rows one by one, so that none of them is kept. */
export interface TripStatement {
  raw: Knex.Raw | PreparedStatement;
  onRow?: (cells: Cells) => void;
}

export interface TripOptions {
  deadlineMs?: number;
  /** Is told when there is a connection for the statements. */
  onLeaving?: () => void;
}

/** A statement as the driver takes it. */
export interface PreparedStatement {
  readonly name: string;
  readonly text: string;
  readonly values: unknown[];
}

/**
 * A long statement that is sent all the time: its `:names` are found once. Knex looks for them each
 * time, which takes a tenth of a millisecond in a few thousand letters. It must hold no other colon.
 */
export function prepareOnce(
  name: string,
  sql: string,
): (values: Readonly<Record<string, unknown>>) => PreparedStatement {
  const order: string[] = [];
  const text = sql.replaceAll(/:(\w+)/g, (_, given: string) => {
    const known = order.indexOf(given);
    return `$${known >= 0 ? known + 1 : order.push(given)}`;
  });
  return (values) => ({
    name,
    text,
    values: order.map((given) => {
      const value = values[given];
      if (value === undefined) {
        // The driver would send null.
        throw new TypeError(`The statement ${name} was given no :${given}`);
      }
      return value;
    }),
  });
}

/** Such a statement in the middle of a transaction. */
export function inTransaction(
  trx: Pick<Knex, 'raw'>,
  { name, text, values }: PreparedStatement,
): Knex.Raw {
  return trx.raw(text).options({ name, values });
}

/**
 * Runs statements one after the other in one transaction and sends all of it at once, with one wait
 * for the database in place of one for each. They cannot use each other's answers. Resolves with
 * the rows of each when all is committed; when one fails, none of them has happened.
 */
export function inOneTrip(
  db: Knex,
  statements: readonly TripStatement[],
  options: TripOptions = {},
): Promise<Rows[]> {
  return onConnection(db, options, async (connection) => {
    options.onLeaving?.();
    // Held back until all is written: one packet, not one for each.
    connection.connection.stream.cork();
    // One alone is a transaction by itself.
    const isOne = statements.length === 1;
    const answers = [
      ...(isOne ? [] : [connection.query('begin')]),
      ...statements.map((statement) => send(connection, statement)),
      ...(isOne ? [] : [connection.query('commit')]),
    ];
    connection.connection.stream.uncork();
    // Nothing of it may still be under way when another one gets the connection.
    const settled = await Promise.allSettled(answers);
    const failed = settled.find((one) => one.status === 'rejected');
    if (failed !== undefined) {
      throw failed.reason;
    }
    const own = isOne ? settled : settled.slice(1, -1);
    return own.map((one) => (one.status === 'fulfilled' ? one.value.rows : []));
  });
}

/**
 * Runs work on one connection. With a deadline the connection is cut when the work takes longer, and
 * whatever waits for it fails: TCP alone takes a quarter of an hour to find out that a host is gone.
 */
export async function onConnection<T>(
  db: Knex,
  { deadlineMs }: { deadlineMs?: number },
  work: (connection: Client) => Promise<T>,
): Promise<T> {
  const connection: Client = await db.client.acquireConnection();
  const timer =
    deadlineMs === undefined
      ? undefined
      : setTimeout(() => cut(connection, deadlineMs), deadlineMs);
  try {
    return await work(connection);
  } finally {
    clearTimeout(timer);
    await db.client.releaseConnection(connection);
  }
}

function cut({ connection }: Client, deadlineMs: number): void {
  connection.stream.destroy(new Error(`Connection terminated: no answer in ${deadlineMs} ms`));
}

function send(connection: Client, { raw, onRow }: TripStatement): Promise<{ rows: unknown[] }> {
  const config = 'toSQL' in raw ? compiled(raw) : { ...raw };
  if (onRow === undefined) {
    return connection.query(config);
  }
  return new Promise((resolve, reject) => {
    const query = new Query(config);
    let failure: Error | null = null;
    query.on('row', (cells: Cells) => {
      try {
        onRow(cells);
      } catch (error) {
        failure ??=
          error instanceof Error ? error : new Error('a row was not taken', { cause: error });
      }
    });
    query.on('error', reject);
    query.on('end', () => {
      if (failure === null) {
        resolve({ rows: [] });
      } else {
        reject(failure);
      }
    });
    connection.query(query);
  });
}

// Compiling takes some ten microseconds, so it is done once.
function compiled(raw: Knex.Raw): QueryConfig {
  const statement = raw.toSQL();
  const { sql, bindings } = statement.toNative();
  return { ...statement.options, text: sql, values: [...bindings] };
}
