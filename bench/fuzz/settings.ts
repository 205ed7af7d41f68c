import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { ProcessGround } from '../chaos/ground';
import type { FuzzOptions } from './options';
import { residentsPassword } from './residents';

/** What data may be answered that is not in the form of its schema. */
const refusals = [400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 431];

/** Writes the fuzzer's configuration into the folder of the run; answers the file. */
export function writeSettings(ground: ProcessGround, options: FuzzOptions): string {
  const file = path.join(ground.folder, 'schemathesis.toml');
  writeFileSync(
    file,
    [
      `seed = ${options.seed}`,
      `workers = ${options.workers}`,
      'request-timeout = 30',
      'continue-on-failure = true',
      'color = false',
      // A busy machine makes cases slowly; that is no finding.
      'suppress-health-check = ["all"]',
      '[generation]',
      `max-examples = ${options.maxExamples}`,
      'database = "none"',
      '[dictionaries.password]',
      `values = ["${residentsPassword}"]`,
      '[parameters]',
      '"body.current" = { dictionary = "password", probability = 0.5 }',
      '"body.password" = { dictionary = "password", probability = 0.5 }',
      // What is sent to us may be in the form of its schema and wrong all the same: an instant that
      // has passed, a cursor that was made up, two fields that do not go together.
      '[checks.positive_data_acceptance]',
      'enabled = false',
      '[checks.negative_data_rejection]',
      `expected-statuses = [${refusals.map((status) => `"${status}"`).join(', ')}]`,
      '[cache]',
      'enabled = false',
      '[reports]',
      `directory = "${path.join(ground.folder, 'reports')}"`,
      '[reports.json]',
      'enabled = true',
      `path = "${path.join(ground.folder, 'report.json')}"`,
      '',
    ].join('\n'),
  );
  return file;
}
