import { mkdtempSync } from 'node:fs';
import path from 'node:path';

/** What the global setup started for the whole run, handed to every Jest worker by one variable. */
export interface TestGround {
  postgresUrl: string;
  templateDatabase: string;
  temporalAddress: string;
  temporalProgram: string;
  /** Everything temporary of this run lies in it; removed at the end. */
  folder: string;
}

const variable = 'CARILLON_TEST_GROUND';

export function testGround(): TestGround {
  const text = process.env[variable];
  if (text === undefined) {
    throw new Error('The global setup has not run: start tests through jest.config.js');
  }
  return JSON.parse(text);
}

export function publishTestGround(ground: TestGround): void {
  process.env[variable] = JSON.stringify(ground);
}

/** A fresh folder that goes with the run. */
export function temporaryFolder(name: string, inside = testGround().folder): string {
  return mkdtempSync(path.join(inside, `${name}-`));
}
