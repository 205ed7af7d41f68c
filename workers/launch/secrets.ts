import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, renameSync, writeFileSync } from 'node:fs';
import path from 'node:path';
import { z } from 'zod';
import { parseSealingKeys } from '../../lib/sealing';

const Secrets = z.object({
  postgresAdminPassword: z.string().min(1),
  /** Of the owner of the tables. */
  postgresPassword: z.string().min(1),
  /** Of the login of the API and the workers. */
  postgresAppPassword: z.string().min(1),
  trackingSecret: z.string().min(32),
  /** As SEALING_KEYS takes them. */
  sealingKeys: z.string().min(32),
  /** Base64 of the DER key, as SendGrid shows it. */
  webhookPublicKey: z.string().min(1),
  /** PEM; the sandbox signs its events with it. */
  webhookPrivateKey: z.string().min(1),
  demoPassword: z.string().min(12),
});

export type Secrets = z.output<typeof Secrets>;

/**
 * What this installation made up for itself on its first start and keeps since: passwords, signing
 * secrets and the key pair of the sandbox's webhooks, readable by the owner alone.
 */
export function loadSecrets(dataDir: string): Secrets {
  const file = path.join(dataDir, 'secrets.json');
  if (existsSync(file)) {
    return readSecrets(file);
  }
  if (existsSync(path.join(dataDir, 'postgres', 'PG_VERSION'))) {
    throw new Error(
      `${file} is missing, and with it the password of the data in ${dataDir}/postgres. ` +
        'Put the file back, or move the folder away to start empty.',
    );
  }
  const { publicKey, privateKey } = generateKeyPairSync('ec', { namedCurve: 'P-256' });
  const secrets: Secrets = {
    postgresAdminPassword: randomText(),
    postgresPassword: randomText(),
    postgresAppPassword: randomText(),
    trackingSecret: randomText(),
    sealingKeys: newSealingKey(),
    webhookPublicKey: publicKey.export({ type: 'spki', format: 'der' }).toString('base64'),
    webhookPrivateKey: privateKey.export({ type: 'pkcs8', format: 'pem' }).toString(),
    demoPassword: randomBytes(12).toString('base64url'),
  };
  writePrivately(file, `${JSON.stringify(secrets, null, 2)}\n`);
  return secrets;
}

/**
 * Puts a new sealing key before those that are there, and answers its id. It seals from the next
 * start on, when every process has both.
 */
export function addSealingKey(dataDir: string): string {
  const file = path.join(dataDir, 'secrets.json');
  if (!existsSync(file)) {
    throw new Error(`There is no ${file}: it is made by the first npm start.`);
  }
  const secrets = readSecrets(file);
  const taken = new Set(parseSealingKeys(secrets.sealingKeys).map(({ id }) => id));
  let n = taken.size + 1;
  while (taken.has(`local${n}`)) {
    n += 1;
  }
  const sealingKeys = `${newSealingKey(`local${n}`)},${secrets.sealingKeys}`;
  writePrivately(file, `${JSON.stringify({ ...secrets, sealingKeys }, null, 2)}\n`);
  return `local${n}`;
}

function readSecrets(file: string): Secrets {
  try {
    const kept: unknown = JSON.parse(readFileSync(file, 'utf8'));
    const missing = isRecord(kept)
      ? madeUpLater.filter(({ name }) => kept[name] === undefined)
      : [];
    if (isRecord(kept) && missing.length > 0) {
      const made = missing.map(({ name, makeUp }) => [name, makeUp()]);
      const completed = Secrets.parse({ ...kept, ...Object.fromEntries(made) });
      writePrivately(file, `${JSON.stringify(completed, null, 2)}\n`);
      return completed;
    }
    return Secrets.parse(kept);
  } catch (error) {
    throw new Error(`${file} cannot be read as it was written. Restore it from a copy.`, {
      cause: error,
    });
  }
}

// What a file of an earlier version has not.
const madeUpLater = [
  { name: 'sealingKeys', makeUp: () => newSealingKey() },
  { name: 'postgresAppPassword', makeUp: randomText },
] as const satisfies { name: keyof Secrets; makeUp: () => string }[];

function newSealingKey(id = 'local'): string {
  return `${id}:${randomBytes(32).toString('base64')}`;
}

function isRecord(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function randomText(): string {
  return randomBytes(32).toString('base64url');
}

/** Writes a file that only its owner may read; whole or not at all. */
export function writePrivately(file: string, text: string): void {
  writeFileSync(`${file}.new`, text, { mode: 0o600 });
  renameSync(`${file}.new`, file);
}
