import { hash, verify } from '@node-rs/argon2';

// OWASP's first choice for argon2id (the library's default algorithm): 19 MiB, two passes, one lane.
const options = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

// Of a random password that was thrown away. Verifying against it costs what a real check costs,
// so that the time of an answer does not tell whether an address has an account.
const dummyHash =
  '$argon2id$v=19$m=19456,t=2,p=1$vrnDVz+v+KlDZWHk/vSGLw$uUZNfwknsvEPKLewhM3DbLQa1C1NAj4aJSJZzXmJ3FU';

/** The salted argon2id hash that is stored instead of the password. */
export function hashPassword(password: string): Promise<string> {
  return hash(password, options);
}

/** Whether the password is the one that was hashed; without a hash it takes as long and is false. */
export async function isPassword(
  password: string,
  storedHash: string | undefined,
): Promise<boolean> {
  const matches = await verify(storedHash ?? dummyHash, password);
  return storedHash !== undefined && matches;
}
