import { loadConfig } from '../../lib/config';
import { parseStartOptions } from '../../workers/launch/options';
import { makePlan } from '../../workers/launch/plan';

const planOf = (environment: Record<string, string>) =>
  makePlan(loadConfig([], { API_PORT: '0', ...environment }), parseStartOptions([]));

test('knows whether asking models would cost money', async () => {
  expect((await planOf({})).hasOwnModelKeys).toBe(false);
  expect((await planOf({ OPENAI_API_KEY: 'sk-a-key-of-somebody' })).hasOwnModelKeys).toBe(true);
  process.env['OPENROUTER_API_KEY_7'] = 'sk-or-v1-somebody';
  try {
    expect((await planOf({})).hasOwnModelKeys).toBe(true);
  } finally {
    delete process.env['OPENROUTER_API_KEY_7'];
  }
});
