import { readdirSync, readFileSync } from 'node:fs';
import path from 'node:path';

const root = path.join(__dirname, '..');

/** Who calls out, and why nobody outside can choose where to. */
const callers = new Map([
  // Addresses that people name: of the public internet alone.
  ['lib/publicFetch.ts', 'looks at every address itself'],
  // Addresses of vendors; `forbiddenSetting` refuses any other in production.
  ['providers/http/strictHttp.ts', 'the API of a vendor'],
  ['providers/email/sendgrid.ts', 'the API of SendGrid'],
  // A host that people name: `publicAddresses` looks at it, and its address is connected to.
  ['providers/email/smtpSession.ts', 'a mail server'],
  // A base URL that a tenant names: `publicAddresses` looks at it, and its address is connected to.
  ['providers/llm/wire.ts', 'a vendor of language models'],
  // Our own processes on this machine.
  ['workers/launch/parts.ts', 'health of what `npm start` runs'],
  ['workers/launch/demo/apiCaller.ts', 'the API that `npm start` runs'],
]);

const callsOut =
  /\bfetch\(|\bhttps?\.(request|get)\(|from '(axios|undici|nodemailer[^']*|got|node-fetch)'|\b(net|tls)\.connect\(|request as https?Request/;

function sources(folder: string): string[] {
  return readdirSync(path.join(root, folder), { withFileTypes: true }).flatMap((entry) => {
    const name = `${folder}/${entry.name}`;
    return entry.isDirectory() ? sources(name) : entry.name.endsWith('.ts') ? [name] : [];
  });
}

test('nobody calls out but who is known to, so that a new caller is thought about', () => {
  const folders = [
    'api',
    'activities',
    'clients',
    'domain',
    'gateway',
    'lib',
    'models',
    'providers',
  ];
  const found = [...folders, 'workers', 'workflows']
    .flatMap(sources)
    // A client of Twilio has a method of this name.
    .filter((name) =>
      callsOut.test(readFileSync(path.join(root, name), 'utf8').replaceAll(/\)\.fetch\(/g, ')')),
    );
  expect(found.toSorted()).toEqual([...callers.keys()].toSorted());
});
