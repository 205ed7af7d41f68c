import type { PlannedWaveRef } from '../../activities/campaigns/runs';
import type { RunStatus } from './messages';

/** "12,340 customers", "1 customer". */
export function count(n: number, noun: string): string {
  return `${thousands(n)} ${noun}${n === 1 ? '' : 's'}`;
}

/** "12,340". */
export function thousands(n: number): string {
  return String(n).replace(/\B(?=(\d{3})+$)/g, ',');
}

/** "Wave 3 of 27: 2026-03-20 13:00 UTC, America/New_York +4, 12,340 customers". */
export function describeWave(wave: PlannedWaveRef, wavesInPlan: number): string {
  const [first = 'no zone', ...others] = wave.zones;
  const zones = others.length === 0 ? first : `${first} +${others.length}`;
  const at = `${wave.startsAt.slice(0, 16).replace('T', ' ')} UTC`;
  return `Wave ${wave.n} of ${wavesInPlan}: ${at}, ${zones}, ${count(wave.customers, 'customer')}`;
}

/** " (quiet hours)" for a wave that is put off, nothing for another one. */
export function describeWaveWait(waitsFor: string | null | undefined): string {
  const words = waitsFor == null ? undefined : waitWords[waitsFor];
  return words === undefined ? '' : ` (${words})`;
}

const waitWords: Record<string, string> = {
  quietHours: 'quiet hours',
  frequencyCap: 'frequency cap',
};

/** A status as markdown for the Temporal UI. */
export function describeStatus(status: RunStatus): string {
  return [
    `**${status.status}** — ${status.explanation}`,
    '',
    '| planned | accepted | refused | left out | in doubt | open |',
    '|---|---|---|---|---|---|',
    `| ${status.planned} | ${status.accepted} | ${status.refused} | ${status.leftOut} | ${status.inDoubt} | ${status.open} |`,
    '',
    `Waves open: ${status.wavesOpen} of ${status.waves}. Next: ${status.nextRunAt ?? 'none'}.`,
  ].join('\n');
}
