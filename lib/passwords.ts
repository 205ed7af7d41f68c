import { availableParallelism } from 'node:os';
import { hash, verify } from '@node-rs/argon2';
import { createLimit } from './limit';

// OWASP's first choice for argon2id (the library's default algorithm): 19 MiB, two passes, one lane.
const options = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

// Of a random password that was thrown away. Verifying against it costs what a real check costs,
// so that the time of an answer does not tell whether an address has an account.
const dummyHash =
  '$argon2id$v=19$m=19456,t=2,p=1$vrnDVz+v+KlDZWHk/vSGLw$uUZNfwknsvEPKLewhM3DbLQa1C1NAj4aJSJZzXmJ3FU';

// Each takes a core and 19 MiB for some 20 ms, on a thread of the pool that files and names are looked
// up by as well. More at once than there are cores would only take longer, and everything else with it.
const longestQueue = 300;
const atOnce = Math.max(1, Math.min(3, availableParallelism() - 1));
const inTurn = createLimit(atOnce, longestQueue);

/** The salted argon2id hash that is stored instead of the password. */
export function hashPassword(password: string): Promise<string> {
  return inTurn(() => hash(normalized(password), options));
}

/** Whether the password is the one that was hashed; without a hash it takes as long and is false. */
export async function isPassword(
  password: string,
  storedHash: string | undefined,
): Promise<boolean> {
  const matches = await inTurn(() => verify(storedHash ?? dummyHash, normalized(password)));
  return storedHash !== undefined && matches;
}

// One keyboard writes é as one character and another as two (NIST SP 800-63B §3.1.1.2).
function normalized(password: string): string {
  return password.normalize('NFKC');
}
