import { setTimeout as wait } from 'node:timers/promises';
import { withTenant } from '../../models/base';
import { getRun } from '../../models/campaigns/runs';
import type { FiredCampaign } from './campaign';
import type { ProcessGround } from './ground';
import type { Kill, Victim } from './plan';
import { sandboxFigures } from './sandboxFigures';

/** A kill as it happened. */
export interface Killed {
  victim: Victim;
  name: string;
  atMs: number;
  /** Messages the provider had taken by then. */
  delivered: number;
}

const pollMs = 100;
const restartTries = 5;

/**
 * Kills by the plan while campaigns to so many customers are being sent and brings everything back; answers what was
 * killed. Gives up at the deadline.
 */
export async function storm(
  ground: ProcessGround,
  customers: number,
  kills: Kill[],
  options: { deadlineAt: number; onKill(killed: Killed): void },
): Promise<Killed[]> {
  const startedAt = Date.now();
  const killed: Killed[] = [];
  for (const kill of kills) {
    await reach(ground, kill.atShare * customers, options.deadlineAt);
    const victim = victimOf(ground, kill);
    await victim.ready();
    await wait(kill.afterMs);
    const { delivered } = await sandboxFigures(ground.sandboxUrl);
    await victim.kill();
    const done = {
      victim: kill.victim,
      name: victim.name,
      atMs: Date.now() - startedAt,
      delivered,
    };
    killed.push(done);
    options.onKill(done);
    await victim.bringBack();
  }
  return killed;
}

/** Resolves once the run has ended; answers its state. */
export function untilEnded(
  ground: Pick<ProcessGround, 'db'>,
  { tenantId, run }: FiredCampaign,
  deadlineAt: number,
): Promise<string> {
  return poll('the run to end', deadlineAt, async () => {
    const { completedAt, state } = await withTenant(ground.db, tenantId, (trx) =>
      getRun(trx, tenantId, run.id),
    );
    return completedAt !== null && state;
  });
}

/** Resolves once the run has ended and its last events are applied; answers its state. */
export async function calm(
  ground: Pick<ProcessGround, 'db' | 'sandboxUrl'>,
  campaign: FiredCampaign,
  deadlineAt: number,
): Promise<string> {
  const state = await untilEnded(ground, campaign, deadlineAt);
  await poll('the events to be posted and applied', deadlineAt, async () => {
    const { events } = await sandboxFigures(ground.sandboxUrl);
    const open = await ground.db('waiting_events').limit(1);
    return events?.pending === 0 && open.length === 0;
  });
  return state;
}

interface Mortal {
  name: string;
  ready(): Promise<void>;
  kill(): Promise<void>;
  bringBack(): Promise<void>;
}

function victimOf(ground: ProcessGround, kill: Kill): Mortal {
  switch (kill.victim) {
    case 'worker':
    case 'api': {
      const worker = ground.workers[kill.index % ground.workers.length] ?? ground.api;
      const part = kill.victim === 'worker' ? worker : ground.api;
      return {
        name: part.name,
        ready: () => part.ready(),
        kill: () => part.kill9(),
        // It comes back by itself, while the storm goes on.
        bringBack: () => Promise.resolve(),
      };
    }
    case 'temporal':
    case 'postgres': {
      const server = kill.victim === 'temporal' ? ground.temporalServer : ground.postgres;
      return {
        name: kill.victim,
        ready: () => Promise.resolve(),
        kill: () => server.kill9(),
        bringBack: () => bringBack(server),
      };
    }
  }
}

/** Starts a killed server again: Postgres leaves children behind that hold its memory for a moment. */
export async function bringBack(server: { restart(): Promise<void> }): Promise<void> {
  for (let tries = 1; ; tries += 1) {
    try {
      await server.restart();
      return;
    } catch (error) {
      if (tries === restartTries) {
        throw error;
      }
      await wait(500);
    }
  }
}

function reach(ground: ProcessGround, messages: number, deadlineAt: number): Promise<true> {
  return poll(`${Math.round(messages)} messages to be delivered`, deadlineAt, async () => {
    const { distinctRecipients } = await sandboxFigures(ground.sandboxUrl);
    return distinctRecipients >= messages;
  });
}

async function poll<T>(
  what: string,
  deadlineAt: number,
  look: () => Promise<T | false>,
): Promise<T> {
  for (;;) {
    // A database that has just come back refuses for a moment.
    const found = await look().catch(() => false as const);
    if (found !== false) {
      return found;
    }
    if (Date.now() > deadlineAt) {
      throw new Error(`Out of time while waiting for ${what}`);
    }
    await wait(pollMs);
  }
}
