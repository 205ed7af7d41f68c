import type { FailureKind } from '../domain/llm/failures';
import { failureKinds } from '../domain/llm/failures';
import { Counter, Histogram, type Registry } from '../lib/metrics';

/** What the gateway counts. No model, key or tenant among the labels: there may be many of them. */
export interface CallMetrics {
  attempted(failure: FailureKind | null): void;
  /** The request went on with another key, or with another model. */
  rotated(to: 'key' | 'model'): void;
  /** A request that would have failed without another key or model. */
  saved(): void;
  waited(ms: number): void;
  firstToken(ms: number): void;
  ended(call: { kind: string; outcome: string; totalMs: number; costMicros: number }): void;
  retryRefused(): void;
  hedged(): void;
}

const nothing: CallMetrics = {
  attempted: () => undefined,
  rotated: () => undefined,
  saved: () => undefined,
  waited: () => undefined,
  firstToken: () => undefined,
  ended: () => undefined,
  retryRefused: () => undefined,
  hedged: () => undefined,
};

/** The gateway's numbers in this process's metrics; without a registry nothing is counted. */
export function createCallMetrics(registry: Registry | null): CallMetrics {
  if (registry === null) {
    return nothing;
  }
  const registers = [registry];
  const counter = (name: string, help: string, labelNames: string[] = []) =>
    new Counter({ name: `carillon_llm_${name}_total`, help, labelNames, registers });
  const histogram = (name: string, help: string, buckets: number[], labelNames: string[] = []) =>
    new Histogram({ name: `carillon_llm_${name}_seconds`, help, buckets, labelNames, registers });

  const attempts = counter(
    'attempts',
    'Calls to models by what became of them, and whose fault it was',
    ['outcome', 'scope'],
  );
  const rotations = counter('rotations', 'Requests that went on with another key or model', ['to']);
  const saved = counter(
    'requests_saved',
    'Requests answered by another key or model than the first',
  );
  const refused = counter(
    'retries_refused',
    'Retries that the budget of the process did not allow',
  );
  const hedges = counter('hedges', 'Second calls beside a slow first one');
  const calls = counter('calls', 'Requests by what became of them', ['kind', 'outcome']);
  const cost = counter('cost_micros', 'What calls cost, in millionths of a US dollar', ['kind']);
  const queued = histogram(
    'queue_wait',
    'How long requests waited for a key',
    [0.01, 0.1, 0.5, 1, 2, 3],
  );
  const firstToken = histogram(
    'first_token',
    'From the request to the first token of its answer',
    slow,
  );
  const total = histogram('call', 'From the request to the end of its answer', slow, ['kind']);

  return {
    attempted(failure) {
      attempts.inc(
        failure === null
          ? { outcome: 'succeeded', scope: 'none' }
          : { outcome: failure, scope: failureKinds[failure] },
      );
    },
    rotated: (to) => rotations.inc({ to }),
    saved: () => saved.inc(),
    waited: (ms) => queued.observe(ms / 1_000),
    firstToken: (ms) => firstToken.observe(ms / 1_000),
    ended({ kind, outcome, totalMs, costMicros }) {
      calls.inc({ kind, outcome });
      // A counter that is to go down throws.
      if (costMicros > 0) {
        cost.inc({ kind }, costMicros);
      }
      total.observe({ kind }, totalMs / 1_000);
    },
    retryRefused: () => refused.inc(),
    hedged: () => hedges.inc(),
  };
}

const slow = [0.1, 0.25, 0.5, 1, 2.5, 5, 10, 20, 40, 60, 120];
