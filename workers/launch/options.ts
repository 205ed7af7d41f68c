import { parseArgs } from 'node:util';

export interface StartOptions {
  help: boolean;
  /** Seed the demo tenant on the first start. */
  demo: boolean;
  /** Restart the API and the workers when a source file changes. */
  watch: boolean;
  /** How many worker processes; undefined leaves it to WORKERS. */
  workers: number | undefined;
}

export const usage = `Usage: npm start -- [options]

  --workers N   start N worker processes (default: WORKERS, or 1)
  --no-demo     do not seed the demo tenant on the first start
  --watch       restart the API and the workers when a source file changes (npm run dev)
  --help        show this

Everything else is configured by environment variables or .env: see .env.example.
`;

/** Reads the command line; throws with a sentence about the first thing that is wrong. */
export function parseStartOptions(args: string[]): StartOptions {
  const { values } = parseArgs({
    args,
    options: {
      help: { type: 'boolean', short: 'h', default: false },
      'no-demo': { type: 'boolean', default: false },
      watch: { type: 'boolean', default: false },
      workers: { type: 'string' },
    },
  });
  const workers = values.workers === undefined ? undefined : Number(values.workers);
  if (workers !== undefined && !(Number.isInteger(workers) && workers >= 1 && workers <= 64)) {
    throw new Error(`--workers must be a whole number from 1 to 64, not "${values.workers}".`);
  }
  return { help: values.help, demo: !values['no-demo'], watch: values.watch, workers };
}
