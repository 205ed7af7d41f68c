import { ActivityFailure, ApplicationFailure, setHandler } from '@temporalio/workflow';
import { byWhom, explainKey, type KeyExplained } from '../../domain/llm/keyrings/explain';
import type { KeyringSeen } from '../../domain/llm/keyrings/types';
import type { KeyStanding } from '../../domain/llm/types';
import { llmProbes, records } from '../proxies';
import { summary } from '../summary';
import { requireBoth, requireKey } from './checkWord';
import {
  drainKeyUpdate,
  pauseKeyUpdate,
  probeKeyUpdate,
  replaceKeyUpdate,
  resumeKeyUpdate,
  revokeKeyUpdate,
  rotateKeyUpdate,
  type KeyWord,
  type ReplaceWord,
} from './messages';

/** What people's words need of the keyring they are said to. */
export interface SpokenTo {
  owner: { accountId: string; tenantId: string | null };
  /** How everything stands, as it was read last. */
  seen(): KeyringSeen | null;
  read(): Promise<void>;
  /** There is news: look. */
  tell(): void;
}

/**
 * Takes people's words on keys: writes those that are not written yet, and answers how the key stands
 * then.
 */
export function listenToWords(ring: SpokenTo): void {
  const words = new Words(ring);
  const options = (description: string) => ({ validator: requireKey, description });
  setHandler(
    pauseKeyUpdate,
    (word) => words.take(word, 'paused'),
    options('No call is made with the key until resume. Input: {keyId, reason?}.'),
  );
  setHandler(
    resumeKeyUpdate,
    (word) => words.take(word, 'active'),
    options('The key serves again after a pause or while it drains. Input: {keyId}.'),
  );
  setHandler(
    drainKeyUpdate,
    (word) => words.take(word, 'draining'),
    options('The key ends what it began and begins nothing new. Input: {keyId, reason?}.'),
  );
  setHandler(
    revokeKeyUpdate,
    (word) => words.take(word, 'revoked'),
    options('The key is never used again. Input: {keyId, reason?}.'),
  );
  setHandler(
    probeKeyUpdate,
    (word) => words.probe(word),
    options('Asks the vendor about the key now. Input: {keyId}.'),
  );
  setHandler(rotateKeyUpdate, (word) => words.replace(word, 'draining'), {
    validator: requireBoth,
    description:
      'The new key serves; the old one ends what it began, then it is revoked. Input: {keyId, newKeyId}.',
  });
  setHandler(replaceKeyUpdate, (word) => words.replace(word, 'revoked'), {
    validator: requireBoth,
    description: 'The new key serves and the old one is revoked at once. Input: {keyId, newKeyId}.',
  });
}

class Words {
  constructor(private readonly ring: SpokenTo) {}

  async take(word: KeyWord, standing: KeyStanding): Promise<KeyExplained> {
    if (word.isWritten !== true) {
      await this.write(word, standing, null);
    }
    return this.answer(word.keyId);
  }

  async replace(word: ReplaceWord, standing: KeyStanding): Promise<KeyExplained> {
    if (word.isWritten !== true) {
      await this.write(word, standing, word.newKeyId);
    }
    return this.answer(word.keyId);
  }

  async probe({ keyId }: KeyWord): Promise<KeyExplained> {
    const { owner } = this.ring;
    const order = { ...owner, keyId, scope: 'key', model: null } as const;
    await llmProbes.verifyKey.executeWithOptions(askedFor('What the vendor says of the key'), [
      order,
    ]);
    await this.ring.read();
    const state = this.explained(keyId);
    if (state?.state === 'cooling' || state?.state === 'suspended') {
      const { account } = this.ring.seen() ?? {};
      if (state.reason === 'credits' && account?.hasManagementKey === true) {
        await llmProbes.pollAccount.executeWithOptions(askedFor('The account’s credit'), [
          { ...owner, scope: 'account' },
        ]);
      } else if (state.reason !== 'authentication' && state.reason !== 'keyLimit') {
        await llmProbes.probeCapacity.executeWithOptions(askedFor('A call with the key'), [
          { ...order, scope: state.scope },
        ]);
      }
    }
    return this.answer(keyId);
  }

  private async write(
    word: KeyWord,
    standing: KeyStanding,
    newKeyId: string | null,
  ): Promise<void> {
    const { keyId } = word;
    const [reason, actorId] = [word.reason ?? null, word.actorId ?? null];
    const label = this.ring.seen()?.keys.find(({ id }) => id === keyId)?.label ?? keyId;
    try {
      await records.setKeyStanding.executeWithOptions(
        { summary: summary(`Key ${label} is ${standing} ${byWhom(actorId)}`) },
        [{ ...this.ring.owner, keyId, standing, reason, actorId, newKeyId }],
      );
    } catch (error) {
      throw refusalOf(error);
    }
  }

  private async answer(keyId: string): Promise<KeyExplained> {
    await this.ring.read();
    this.ring.tell();
    const found = this.explained(keyId);
    if (found === null) {
      throw ApplicationFailure.nonRetryable('The account has no such key.', 'KeyNotFound');
    }
    return found;
  }

  private explained(keyId: string): KeyExplained | null {
    const seen = this.ring.seen();
    return seen === null ? null : explainKey(seen, keyId, Date.now());
  }
}

/** Whoever gave the word reads why it was refused, and not that an activity failed. */
export function refusalOf(error: unknown): unknown {
  const refusal = error instanceof ActivityFailure ? error.cause : undefined;
  return refusal instanceof ApplicationFailure ? refusal : error;
}

/** The summary of what a person asked for. */
export function askedFor(what: string) {
  return { summary: summary(`${what}: asked for by a person`) };
}
