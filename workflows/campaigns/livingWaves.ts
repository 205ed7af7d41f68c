import { getExternalWorkflowHandle, type ExternalWorkflowHandle } from '@temporalio/workflow';
import type { PlannedWaveRef } from '../../activities/campaigns/runs';

/** The waves of a run that are waiting or sending, by the id of their workflows. */
export class LivingWaves {
  private readonly waves = new Map<string, PlannedWaveRef>();

  get size(): number {
    return this.waves.size;
  }

  /** How many of them have begun. */
  get sending(): number {
    return [...this.waves.values()].filter((wave) => !isAhead(wave)).length;
  }

  /** The one that begins next; null when all have begun. */
  get next(): PlannedWaveRef | null {
    const ahead = [...this.waves.values()].filter(isAhead);
    return ahead.sort((a, b) => a.startsAt.localeCompare(b.startsAt))[0] ?? null;
  }

  add(workflowId: string, wave: PlannedWaveRef): void {
    this.waves.set(workflowId, wave);
  }

  remove(workflowId: string): void {
    this.waves.delete(workflowId);
  }

  has(workflowId: string): boolean {
    return this.waves.has(workflowId);
  }

  /** Sends each a signal. One that does not hear it is passed over: it has ended, or not begun. */
  async signal(send: (wave: ExternalWorkflowHandle) => Promise<void>): Promise<void> {
    await Promise.all(
      [...this.waves.keys()].map(async (workflowId) => {
        try {
          await send(getExternalWorkflowHandle(workflowId));
        } catch {
          // A wave that has ended needs no message. One that has not begun is asked to stop again, and
          // looks by itself whether it is paused.
        }
      }),
    );
  }
}

function isAhead(wave: PlannedWaveRef): boolean {
  return Date.parse(wave.startsAt) > Date.now();
}
