import { writeFileSync } from 'node:fs';
import path from 'node:path';
import type { ProcessGround } from '../chaos/ground';
import type { FuzzOptions } from './options';
import { residentsPassword } from './residents';

/** The fuzzer's own report, in the folder of the run. */
export const reportName = 'report.json';

/** What data may be answered that is not in the form of its schema. */
const refusals = [400, 401, 403, 404, 405, 409, 412, 413, 415, 422, 431];

/** Scenarios of several requests for each case of an operation. */
const scenariosForEach = 10;

const dayMs = 24 * 60 * 60_000;

/** What hardly anybody guesses and many bodies need to be taken. */
function dictionaries(): Record<string, string[]> {
  const inDays = (days: number) => new Date(Date.now() + days * dayMs).toISOString();
  return {
    passwords: [residentsPassword],
    zones: ['Europe/Berlin', 'America/Sao_Paulo', 'Asia/Kathmandu', 'UTC'],
    languages: ['en', 'pt-BR', 'de'],
    phones: ['+4915112345000', '+14155550123'],
    instants: [inDays(1), inDays(30)],
  };
}

const fields: Record<string, string> = {
  current: 'passwords',
  password: 'passwords',
  timeZone: 'zones',
  language: 'languages',
  defaultLanguage: 'languages',
  phone: 'phones',
  expiresAt: 'instants',
  'schedule.at': 'instants',
};

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
      '[phases.stateful.generation]',
      `max-examples = ${options.maxExamples * scenariosForEach}`,
      ...Object.entries(dictionaries()).flatMap(([name, values]) => [
        `[dictionaries.${name}]`,
        `values = ${JSON.stringify(values)}`,
      ]),
      '[parameters]',
      ...Object.entries(fields).map(
        ([field, name]) => `"body.${field}" = { dictionary = "${name}", probability = 0.6 }`,
      ),
      // What is sent to us may be in the form of its schema and wrong all the same: an instant that
      // has passed, a cursor that was made up, two fields that do not go together.
      '[checks.positive_data_acceptance]',
      'enabled = false',
      '[checks.negative_data_rejection]',
      `expected-statuses = [${refusals.map((status) => `"${status}"`).join(', ')}]`,
      // A model nobody serves is answered 502, and one whose keys all rest 503, as the document says.
      ...['/api/v1/llm/chat', '/api/v1/content/generate'].flatMap((asked) => [
        '[[operations]]',
        `include-path = "${asked}"`,
        'checks.not_a_server_error.expected-statuses = ["2xx", "3xx", "4xx", "502", "503"]',
      ]),
      '[cache]',
      'enabled = false',
      '[reports]',
      `directory = "${path.join(ground.folder, 'reports')}"`,
      '[reports.json]',
      'enabled = true',
      `path = "${path.join(ground.folder, reportName)}"`,
      '',
    ].join('\n'),
  );
  return file;
}
