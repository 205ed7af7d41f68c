import type { ProcessGround } from '../chaos/ground';
import type { OurProcess } from '../chaos/ourProcess';
import type { OpenerFigures } from './opener';
import type { ResealOptions } from './options';

/** A process of the installation. */
export interface Member {
  process: OurProcess;
  url: string;
}

export type Fleet = ReturnType<typeof createFleet>;

/** Starts APIs, workers and openers, each with the keys it is to have. */
export function createFleet(
  { ground, options }: { ground: ProcessGround; options: ResealOptions },
  file: string,
) {
  const kinds = {
    api: { script: 'api/server', portVariable: 'API_PORT', flags: [] },
    worker: { script: 'workers/main', portVariable: 'WORKER_PORT', flags: [] },
    opener: {
      script: 'bench/resealing/opener',
      portVariable: 'WORKER_PORT',
      flags: [`--file=${file}`, `--rate=${options.opens}`],
    },
  } as const;
  return {
    async start(
      name: `${keyof typeof kinds}-${number}`,
      sealingKeys: string,
      ...flags: string[]
    ): Promise<Member> {
      const kind = name.startsWith('api') ? 'api' : name.startsWith('worker') ? 'worker' : 'opener';
      const part = kinds[kind];
      const member = await ground.another({
        name,
        ...part,
        flags: [...part.flags, ...flags],
        // Accounts may lead to the sandbox on this machine in development alone.
        environment: { SEALING_KEYS: sealingKeys, NODE_ENV: 'development' },
      });
      await member.process.start();
      return member;
    },
  };
}

/** What openers have seen until now. */
export async function openerFigures(openers: readonly Member[]): Promise<OpenerFigures[]> {
  return Promise.all(
    openers.map(async ({ url }) => {
      const response = await fetch(`${url}/figures`);
      const figures: OpenerFigures = JSON.parse(await response.text());
      return figures;
    }),
  );
}

/** The same of all of them together. */
export function addFigures(all: readonly OpenerFigures[]): Omit<OpenerFigures, 'hasOpenedAll'> {
  return {
    opens: all.reduce((sum, { opens }) => sum + opens, 0),
    unreadable: all.reduce((sum, { unreadable }) => sum + unreadable, 0),
    failures: all.flatMap(({ failures }) => failures),
  };
}
