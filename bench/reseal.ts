import { measureResealing, type ResealFigures } from './resealing/measure';
import { readOptions } from './resealing/options';

/**
 * Replaces the sealing key of many rows while processes of every step of the change read and write
 * them. Prints the figures as one line of JSON; fails when anything was unreadable, overwritten or
 * left behind.
 */
async function main(): Promise<void> {
  const options = readOptions(process.argv.slice(2));
  const figures = await measureResealing(options, (text) => process.stderr.write(`${text}\n`));
  process.stdout.write(`${JSON.stringify(figures)}\n`);
  process.exitCode = isSound(figures) ? 0 : 1;
}

function isSound(figures: ResealFigures): boolean {
  const { unreadable, lostChanges, oldLeft, otherwiseChanged, failures } = figures;
  return unreadable + lostChanges + oldLeft + otherwiseChanged + failures.length === 0;
}

main().catch((error: unknown) => {
  process.stderr.write(
    `${error instanceof Error ? (error.stack ?? error.message) : String(error)}\n`,
  );
  process.exit(1);
});
