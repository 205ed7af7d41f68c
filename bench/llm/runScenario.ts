import { factsOf, type Facts } from './facts';
import type { LlmGround } from './ground';
import { defaultPlan, type Scenario, type Verdict } from './scenarios';

export interface Ran {
  /** The longest that one of the processes could do nothing. */
  heldUpMs: number;
  scenario: Scenario;
  facts: Facts;
  verdict: Verdict;
}

const WARM_UP = 150;

/** Runs one scenario with fresh processes, all keys well and no call counted. */
export async function runScenario(ground: LlmGround, scenario: Scenario): Promise<Ran> {
  const { vendor } = ground;
  await vendor.reset();
  await ground.heal();
  const count = scenario.processes ?? 1;
  const gateways = await ground.startGateways(count);
  try {
    const plan = { ...defaultPlan, ...scenario.plan };
    // A process that has just begun is slow, and connects.
    await Promise.all(
      gateways.map((gateway, n) =>
        gateway.run({
          do: 'load',
          plan: { ...plan, requests: WARM_UP, perSecond: WARM_UP, prefix: `warm-up-${n}` },
        }),
      ),
    );
    await vendor.forgetCalls();
    await scenario.prepare(vendor);
    const startedAt = Date.now();
    const loads = gateways.map((gateway, n) =>
      gateway.run({
        do: 'load',
        plan: {
          ...plan,
          requests: Math.round(scenario.requests / count),
          perSecond: plan.perSecond / count,
          prefix: `${scenario.name}-${n}`,
        },
      }),
    );
    const [loaded] = await Promise.all([Promise.all(loads), scenario.during?.(vendor)]);
    const { keys } = (await gateways[0]?.run({ do: 'keys' })) ?? { keys: [] };
    const states: Record<string, number> = {};
    keys.forEach(({ state }) => (states[state] = (states[state] ?? 0) + 1));
    const { items } = await vendor.calls();
    const facts = factsOf(
      loaded.flatMap(({ outcomes }) => outcomes),
      items,
      states,
    );
    const heldUpMs = Math.max(...loaded.map((each) => each.heldUpMs));
    return { scenario, facts, verdict: scenario.judge(facts, startedAt), heldUpMs };
  } finally {
    await Promise.all(gateways.map((gateway) => gateway.stop()));
  }
}
