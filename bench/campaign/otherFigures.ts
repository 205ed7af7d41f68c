import type { BesideCampaigns } from '../transactional/beside';
import { median, rounded } from './numbers';
import type { OneByOneResult, Wire } from './oneByOne';
import type { Bar } from './report';

/** What is measured beside campaigns by calls of many. */
export interface OtherResults {
  oneByOne: OneByOneResult[];
  transactional: BesideCampaigns | null;
}

const leastOneByOneRatio = 0.85;
const mostTransactionalMs = 300;

/** The figures as the last line gives them: of the slower wire where there are two. */
export function figuresOfOthers({ oneByOne, transactional }: OtherResults) {
  const figures = oneByOne.map(figuresOfWire);
  const perSecond = Object.fromEntries(
    figures.map(({ wire, messagesPerSecond }) => [wire, messagesPerSecond]),
  );
  const ratio = Object.fromEntries(figures.map((each) => [each.wire, each.ratio]));
  return {
    ...(figures.length === 0
      ? {}
      : {
          oneByOnePerSecond: Math.min(...figures.map((each) => each.messagesPerSecond)),
          oneByOneRatio: Math.min(...figures.map((each) => each.ratio)),
          oneByOne: { perSecond, ratio },
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
    ...oneByOne.map(figuresOfWire).map((figures) => ({
      name: `one call a message by ${figures.wire}: at least ${leastOneByOneRatio * 100} % of the bare loop`,
      found:
        `${rounded(figures.ratio * 100, 1)} %, ${figures.messagesPerSecond}/s of ${figures.barePerSecond}/s; ` +
        `turns ${figures.ratios.join(', ')}`,
      isMet: figures.ratio >= leastOneByOneRatio,
    })),
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
  // Of each pair of turns: the machine's speed changes more between rounds than within one.
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
