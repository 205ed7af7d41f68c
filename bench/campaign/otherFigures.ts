import type { BesideCampaigns } from '../transactional/beside';
import { median, rounded } from './numbers';
import { clientNames, type OneByOneResult } from './oneByOne';
import type { Wire } from './oneByOneSinks';
import type { Bar } from './report';

/** What is measured beside campaigns by calls of many. */
export interface OtherResults {
  oneByOne: OneByOneResult[];
  transactional: BesideCampaigns | null;
}

const leastOneByOneRatio = 0.85;
const mostTransactionalMs = 300;

// The loop that calls as the product does is the stricter one; the library's is only told.
function hasBar({ client }: Pick<OneByOneResult, 'client'>): boolean {
  return client === 'product';
}

function ratiosOf(figures: { wire: Wire; ratio: number }[]): Record<string, number> {
  return Object.fromEntries(figures.map(({ wire, ratio }) => [wire, ratio]));
}

/** The figures as the last line gives them: of the slower wire where there are two. */
export function figuresOfOthers({ oneByOne, transactional }: OtherResults) {
  const figures = oneByOne.filter(hasBar).map(figuresOfWire);
  const told = oneByOne.filter((result) => !hasBar(result)).map(figuresOfWire);
  const perSecond = Object.fromEntries(
    figures.map(({ wire, messagesPerSecond }) => [wire, messagesPerSecond]),
  );
  return {
    ...(figures.length === 0
      ? {}
      : {
          oneByOnePerSecond: Math.min(...figures.map((each) => each.messagesPerSecond)),
          oneByOneRatio: Math.min(...figures.map((each) => each.ratio)),
          oneByOne: { perSecond, ratio: ratiosOf(figures), ratioToLibrary: ratiosOf(told) },
        }),
    ...(transactional === null
      ? {}
      : {
          transactionalP99Ms: transactional.p99Ms,
          transactionalP99OfRounds: transactional.p99OfRounds,
          diskMsOfRounds: transactional.diskMsOfRounds,
        }),
  };
}

export function barsOfOthers({ oneByOne, transactional }: OtherResults): Bar[] {
  return [
    ...oneByOne.map(barOfWire),
    ...(transactional === null
      ? []
      : [
          {
            name: `single messages beside the campaign: p99 under ${mostTransactionalMs} ms`,
            found:
              `${transactional.p99Ms} ms of ${transactional.samples}, campaign ${transactional.bulkPerSecond}/s; ` +
              `rounds ${transactional.p99OfRounds.join(', ')}, a bare write up to ${transactional.diskMsOfRounds.join(', ')}`,
            isMet: transactional.p99Ms < mostTransactionalMs && transactional.isExact,
          },
        ]),
  ];
}

function barOfWire(result: OneByOneResult): Bar {
  const { wire, client } = result;
  const { ratio, ratios, messagesPerSecond, barePerSecond } = figuresOfWire(result);
  const isBar = hasBar(result);
  const least = isBar ? `at least ${leastOneByOneRatio * 100} % of` : 'beside';
  return {
    name: `one call a message by ${wire}: ${least} the bare loop by ${clientNames[client]}`,
    found:
      `${rounded(ratio * 100, 1)} %, ${messagesPerSecond}/s of ${barePerSecond}/s; ` +
      `rounds ${ratios.join(', ')}`,
    isMet: isBar ? ratio >= leastOneByOneRatio : null,
  };
}

/** Whether every message of every run arrived, once. */
export function areAllReceived({ messages, rounds }: OneByOneResult): boolean {
  return rounds.every(
    ({ product }) => product.accepted === messages && product.received === messages,
  );
}

function figuresOfWire({ wire, rounds }: OneByOneResult): {
  wire: Wire;
  messagesPerSecond: number;
  barePerSecond: number;
  ratio: number;
  ratios: number[];
} {
  const ratios = rounds.map((round) =>
    rounded(round.product.messagesPerSecond / round.barePerSecond, 3),
  );
  const product = median(rounds.map((round) => round.product.messagesPerSecond));
  const bare = median(rounds.map((round) => round.barePerSecond));
  return {
    wire,
    messagesPerSecond: Math.round(product),
    barePerSecond: Math.round(bare),
    ratio: rounded(median(ratios), 3),
    ratios,
  };
}
