import { AppError } from '../../domain/errors';
import type { Llm } from '../../gateway';
import { startLlm } from '../../gateway/start';
import { testSealing } from '../support/accounts';
import { knows, openLlmGround, quietLogger, type LlmGround } from '../support/llmGround';

let ground: LlmGround;

beforeAll(async () => {
  ground = await openLlmGround();
});

afterAll(() => ground.close());

/** Language models of a process whose database is away until it is let through. */
function start(when: 'now' | 'asked') {
  const state: { tries: number; isBack: boolean; llm: Llm | null } = {
    tries: 0,
    isBack: false,
    llm: null,
  };
  const started = startLlm(
    {
      db: ground.database.app,
      sealing: testSealing,
      logger: quietLogger,
      metrics: null,
      onlyPublic: false,
      tell: { stateChanged: () => undefined, wanted: () => undefined },
    },
    {
      when,
      async create() {
        state.tries += 1;
        if (!state.isBack) {
          throw new Error('the database is away');
        }
        state.llm = await ground.process();
        return state.llm;
      },
    },
  );
  return { state, started };
}

test('loads nothing where nobody asks', async () => {
  const { state, started } = start('asked');
  await started.close();
  expect(state.tries).toBe(0);
});

test('whoever asks while the database is away is told to come back, and served when it is', async () => {
  const { state, started } = start('now');
  const tenant = await ground.tenant();
  const refused = await started.gateway.chat(tenant.ask()).catch((error: unknown) => error);
  expect(refused).toBeInstanceOf(AppError);
  expect(refused).toMatchObject({ kind: 'unavailable', retryAfterSeconds: 2 });
  expect(state.tries).toBeGreaterThan(1);

  state.isBack = true;
  const answer = await started.gateway.chat(tenant.ask());
  expect(answer.attempts).toBe(1);
  if (state.llm !== null) {
    await knows(state.llm, tenant);
  }
  const events = [];
  for await (const event of started.gateway.stream(tenant.ask())) {
    events.push(event.type);
  }
  expect(events.at(-1)).toBe('done');
});
