import { createSettler } from '../../activities/transactional/settler';
import type { Knex } from '../../lib/db';
import { newId } from '../../lib/ids';
import { claimMessages } from '../../models/transactional/claims';
import { passGate } from '../../models/transactional/gate';
import type { MessageOutcome } from '../../providers/types';
import { ensureTestAccount } from '../support/accounts';
import { createTestDatabase, type TestDatabase } from '../support/postgres';
import { askForMessages } from '../support/transactional';

let db: Knex;
let database: TestDatabase;

beforeEach(async () => {
  database = await createTestDatabase();
  db = database.db;
  await ensureTestAccount(db);
});

afterEach(() => database.drop());

const later = { kind: 'notSent', status: 450, reason: 'later', retryAfterMs: 900_000 } as const;

test.each([
  ['of the account keeps it waiting', later, 'providerUnreachable'],
  ['of one recipient keeps nobody else', { ...later, onlyRecipient: true }, null],
] satisfies [string, MessageOutcome, string | null][])(
  'a refusal for now %s',
  async (_, outcome, reason) => {
    await askForMessages(db, 1);
    const slice = { workflowRunId: newId(), activityId: '1', attempt: 1 };
    const claimed = await claimMessages(db, slice, 1);
    const [message] = await passGate(
      db,
      claimed.map((each) => ({ ...each, leaveBefore: null })),
      60_000,
    );
    if (message === undefined) {
      throw new Error('the gate was shut');
    }
    const settler = createSettler(db, new AbortController().signal);
    await settler.settle({ message, accountId: 'sendgrid', outcome });
    expect(await db('provider_accounts').where({ id: 'sendgrid' }).first()).toMatchObject({
      blocked_reason: reason,
    });
    expect(await db('dispatches')).toMatchObject([{ state: 'planned' }]);
  },
);
