import type { Catalogue } from './catalogue';
import type { Ring } from './types';

/** The models of one request: the one it asks for, and those that may take its place, in order. */
export class ModelLine {
  // Those of them that a vendor named in the place of one it did not serve.
  private named: readonly string[] = [];

  constructor(
    private readonly deps: { ring: Ring; catalogue: Catalogue },
    private readonly models: readonly string[],
    private readonly poolIds: readonly string[],
  ) {}

  /**
   * What a vendor proposes goes first: it knows who serves. It brings none into the line: what may
   * answer, and what that may cost, is said by whoever asked.
   */
  propose(models: readonly string[]): void {
    this.named = [...this.named, ...models.filter((id) => this.models.includes(id))];
  }

  /** Those that are well. */
  up(): string[] {
    return this.models.filter((model) => this.downUntil(model) === null);
  }

  /** Those that are well and are not among these. */
  others(asked: ReadonlySet<string>): string[] {
    return [...new Set([...this.named, ...this.models])].filter(
      (model) => !asked.has(model) && this.downUntil(model) === null,
    );
  }

  /** The first of the others that reads more than this one. */
  larger(model: string, others: readonly string[]): string | null {
    const { catalogue } = this.deps;
    const tokens = catalogue.find(model)?.contextTokens ?? Infinity;
    return others.find((other) => (catalogue.find(other)?.contextTokens ?? 0) > tokens) ?? null;
  }

  /** Until when no pool of this request asks the model; null while one does. */
  downUntil(model: string): number | null {
    let until: number | null = null;
    for (const poolId of this.poolIds) {
      const down = this.deps.ring.modelDown(poolId, model);
      if (down === null) {
        return null;
      }
      until = Math.min(until ?? down.until, down.until);
    }
    return until;
  }

  /** When the first of them is asked again; null where one is now. */
  upAt(): number | null {
    const untils = this.models.map((model) => this.downUntil(model));
    return untils.reduce<number | null>(
      (first, until) => (first === null || until === null ? null : Math.min(first, until)),
      Infinity,
    );
  }
}
