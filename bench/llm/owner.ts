/** Who asks over HTTP. */
export const owner = {
  email: 'owner@example.com',
  password: 'a password of the benchmark',
} as const;
