import { byWhom, explainKeys, type KeyExplained } from './explain';
import { isSharper, lastsMs, lastsWords, warningOf, withSample } from './forecast';
import type { RunOutWarning, Sample } from './forecast';
import type { KeyringSeen, TransitionSeen } from './types';
import { cell, instantWords, moneyWords } from './words';

/** What was left of the account's credit and of keys' limits, by their ids, and what was said of it. */
export type Forecasts = Record<string, { samples: Sample[]; told: RunOutWarning | null }>;

/** Something that will run out, said when it becomes more pressing. */
export interface RunOut {
  what: string;
  lastsMs: number;
  warning: RunOutWarning;
}

/** Takes up what is known now of what is left; answers what is to be said of it. */
export function forecast(
  before: Forecasts,
  { account, keys }: KeyringSeen,
): { forecasts: Forecasts; told: RunOut[] } {
  const known = [
    {
      id: account.id,
      what: `The credit of account ${account.name}`,
      leftMicros: account.balanceMicros,
      at: account.balanceAt,
    },
    ...keys
      .filter(({ standing }) => standing !== 'revoked')
      .map((key) => ({
        id: key.id,
        what: `The limit of key ${key.label}`,
        leftMicros: key.limitRemainingMicros,
        at: key.limitsAt,
      })),
  ];
  const told: RunOut[] = [];
  const forecasts: Forecasts = {};
  for (const { id, what, leftMicros, at } of known) {
    if (leftMicros !== null && at !== null) {
      const past = before[id] ?? { samples: [], told: null };
      const samples = withSample(past.samples, { atMs: Date.parse(at), leftMicros });
      const forecastMs = lastsMs(samples);
      const warning = warningOf(forecastMs);
      if (forecastMs !== null && warning !== null && isSharper(warning, past.told)) {
        told.push({ what, lastsMs: forecastMs, warning });
      }
      forecasts[id] = { samples, told: warning };
    }
  }
  return { forecasts, told };
}

/** An account and its keys as markdown, for operators. */
export function keyringDetails(
  seen: KeyringSeen,
  { forecasts, nowMs, waitsFor }: { forecasts: Forecasts; nowMs: number; waitsFor: string },
): string {
  const keys = explainKeys(seen, nowMs);
  return [
    `**${cell(seen.account.name)}**: ${accountWords(seen, forecasts, nowMs)}`,
    '',
    '| key | state | until | because | before it |',
    '|---|---|---|---|---|',
    ...keys.map((key) => keyRow(key, nowMs)),
    '',
    ...ofOthers(seen, nowMs),
    ...runOutLines(seen, forecasts),
    `Now: ${cell(waitsFor)}.`,
    ...wordLines(seen, nowMs),
    ...lastLines(seen, nowMs),
  ].join('\n');
}

function accountWords({ account, health }: KeyringSeen, forecasts: Forecasts, nowMs: number) {
  const row = health.find(({ scope }) => scope === 'account');
  const isOut = row?.state === 'suspended' && row.reason === 'credits';
  const left =
    account.balanceMicros === null || account.balanceAt === null
      ? 'credit unknown'
      : `${moneyWords(account.balanceMicros)} of credit left at ${instantWords(account.balanceAt, nowMs)}`;
  const forecastMs = lastsMs(forecasts[account.id]?.samples ?? []);
  const lasts = forecastMs === null ? '' : `, ${lastsWords(forecastMs)}`;
  const next =
    row?.nextCheckAt == null ? '' : `, next look ${instantWords(row.nextCheckAt, nowMs)}`;
  const out = isOut ? `**out of credit** since ${instantWords(row.since, nowMs)}${next}; ` : '';
  const standing = account.standing === 'active' ? '' : `; ${account.standing}`;
  return `${out}${left}${lasts}${standing}.`;
}

function keyRow(key: KeyExplained, nowMs: number): string {
  const state = key.state === 'active' ? 'active' : `**${key.state}**`;
  const until = untilWords(key, nowMs);
  const of = key.scope === 'account' ? 'its account: ' : key.scope === 'platform' ? 'all: ' : '';
  const because = key.because === '' ? '–' : `${of}${key.because}`;
  const cells = [key.label, state, until, because, key.before === '' ? '–' : key.before];
  return `| ${cells.map(cell).join(' | ')} |`;
}

function untilWords({ until, nextCheckAt }: KeyExplained, nowMs: number): string {
  if (until !== null) {
    return instantWords(until, nowMs);
  }
  return nextCheckAt === null ? '–' : `asked again ${instantWords(nextCheckAt, nowMs)}`;
}

// What holds up a model and not a key.
function ofOthers({ health }: KeyringSeen, nowMs: number): string[] {
  return health
    .filter(({ model }) => model !== null)
    .map((row) => {
      const until = row.until === null ? '' : ` until ${instantWords(row.until, nowMs)}`;
      const where = row.scope === 'accountModel' ? ' with this account' : '';
      return `Model ${cell(row.model ?? '')} is ${row.state}${where}${until}: ${row.reason}.\n`;
    });
}

function runOutLines({ account, keys }: KeyringSeen, forecasts: Forecasts): string[] {
  return keys.flatMap(({ id, label }) => {
    const forecastMs = lastsMs(forecasts[id]?.samples ?? []);
    return forecastMs === null || warningOf(forecastMs) === null || id === account.id
      ? []
      : [`The limit of key ${cell(label)} ${lastsWords(forecastMs)}.\n`];
  });
}

function wordLines(seen: KeyringSeen, nowMs: number): string[] {
  const { words } = seen;
  if (words.length === 0) {
    return [];
  }
  return [
    '',
    '| when | who | what |',
    '|---|---|---|',
    ...words.map((word) => {
      const why = word.reason === null ? '' : ` ("${word.reason}")`;
      const what = `${subjectOf(seen, word)}: ${word.fromState} → ${word.toState}${why}`;
      const cells = [instantWords(word.at, nowMs), byWhom(word.actorId).slice(3), what];
      return `| ${cells.map(cell).join(' | ')} |`;
    }),
  ];
}

const lastShown = 8;

function lastLines(seen: KeyringSeen, nowMs: number): string[] {
  const { transitions } = seen;
  if (transitions.length === 0) {
    return [];
  }
  return [
    '',
    ...transitions.slice(0, lastShown).map((one) => {
      const why = one.reason === null ? '' : `, ${one.reason}`;
      const change = `${one.fromState} → ${one.toState}`;
      return `- ${instantWords(one.at, nowMs)} ${cell(subjectOf(seen, one))}: ${change}${why} (${one.actorKind})`;
    }),
  ];
}

function subjectOf({ account, keys }: KeyringSeen, { keyId, model }: TransitionSeen): string {
  const of = keyId === null ? account.name : (keys.find(({ id }) => id === keyId)?.label ?? keyId);
  return model === null ? of : `${model} with ${of}`;
}
