import { setHandler } from '@temporalio/workflow';
import { byWhom } from '../../domain/llm/keyrings/explain';
import { probesOf } from '../../domain/llm/keyrings/probesOf';
import type { AccountStanding } from '../../domain/llm/types';
import { llmProbes, records } from '../proxies';
import { summary } from '../summary';
import { requireSaid } from './checkWord';
import {
  drainAccountUpdate,
  pauseAccountUpdate,
  probeAccountUpdate,
  resumeAccountUpdate,
  type AccountWord,
  type KeyringStatus,
} from './messages';
import { askedFor, refusalOf, type SpokenTo } from './words';

/** Takes people's words on the whole account: one of them counts for all its keys. */
export function listenToAccountWords(ring: SpokenTo & { status(): KeyringStatus | null }): void {
  const options = (description: string) => ({ validator: requireSaid, description });
  setHandler(
    pauseAccountUpdate,
    (word) => take('paused', word),
    options('No call is made with any key of the account until resumeAccount. Input: {reason?}.'),
  );
  setHandler(
    resumeAccountUpdate,
    (word) => take('active', word),
    options('The account serves again; each of its keys stands as it did by itself.'),
  );
  setHandler(
    drainAccountUpdate,
    (word) => take('draining', word),
    options('The account ends what it began and begins nothing new. Input: {reason?}.'),
  );
  setHandler(
    probeAccountUpdate,
    () => probe(),
    options('Asks the vendor about all keys of the account and its credit now.'),
  );

  // An operator may put nothing in.
  async function take(standing: AccountStanding, word: AccountWord = {}) {
    if (word.isWritten !== true) {
      await write(standing, word);
    }
    return answer();
  }

  async function write(standing: AccountStanding, word: AccountWord): Promise<void> {
    const [reason, actorId] = [word.reason ?? null, word.actorId ?? null];
    const name = ring.seen()?.account.name ?? ring.owner.accountId;
    try {
      await records.setAccountStanding.executeWithOptions(
        { summary: summary(`Account ${name} is ${standing} ${byWhom(actorId)}`) },
        [{ ...ring.owner, standing, reason, actorId }],
      );
    } catch (error) {
      throw refusalOf(error);
    }
  }

  async function probe(): Promise<KeyringStatus | null> {
    await ring.read();
    const seen = ring.seen();
    if (seen !== null) {
      const { keyIds, polls } = probesOf(seen, Date.now());
      await Promise.all([
        ...keyIds.map((keyId) =>
          llmProbes.verifyKey.executeWithOptions(askedFor('What the vendor says of the key'), [
            { ...ring.owner, keyId, scope: 'key', model: null },
          ]),
        ),
        ...polls.map((scope) =>
          llmProbes.pollAccount.executeWithOptions(askedFor('The account’s credit'), [
            { ...ring.owner, scope },
          ]),
        ),
      ]);
      await ring.read();
      await probeCapacities();
    }
    return answer();
  }

  // One after the other: what one learns of the account spares the next.
  async function probeCapacities(): Promise<void> {
    const seen = ring.seen();
    const calls = seen === null ? [] : probesOf(seen, Date.now()).calls;
    for (const { keyId, scope } of calls) {
      await llmProbes.probeCapacity.executeWithOptions(askedFor('A call with the key'), [
        { ...ring.owner, keyId, scope, model: null },
      ]);
    }
  }

  async function answer(): Promise<KeyringStatus | null> {
    await ring.read();
    ring.tell();
    return ring.status();
  }
}
