import type { LlmCredentials } from '../providers/llm/types';
import type { RingKeyCell, RingPool } from './ringPool';
import type { ChosenKey } from './types';

/** Its secret is no property of its own: whoever logs or copies a chosen key does not show it. */
export class RingChosen implements ChosenKey {
  readonly keyId: string;
  readonly accountId: string;
  readonly accountName: string;
  readonly poolId: string;
  readonly vendor: ChosenKey['vendor'];
  readonly #credentials: LlmCredentials;
  #end: (() => void) | null;

  constructor(
    pool: RingPool,
    key: RingKeyCell,
    credentials: LlmCredentials,
    readonly isTrial: boolean,
    end: () => void,
  ) {
    this.keyId = key.id;
    this.accountId = key.account.id;
    this.accountName = key.account.stored.name;
    this.poolId = pool.id;
    this.vendor = key.account.stored.vendor;
    this.#credentials = credentials;
    this.#end = end;
  }

  get credentials(): LlmCredentials {
    return this.#credentials;
  }

  release(): void {
    const end = this.#end;
    this.#end = null;
    end?.();
  }
}
