import path from 'node:path';
import { openRouterKeys, type Config } from '../../lib/config';
import { databaseProblem } from './externalDatabase';
import { freePort, isPortTaken, portHolder } from './ports';
import type { StartOptions } from './options';
import { temporalProblem } from './temporalAccess';

/** Everything decided before the first process starts. */
export interface Plan {
  config: Config;
  options: StartOptions;
  dataDir: string;
  /** Undefined: our own Postgres. */
  databaseUrl: string | undefined;
  /** Undefined: our own development server. */
  temporalAddress: string | undefined;
  /** Whether the sandbox stands in for SendGrid. */
  hasSandbox: boolean;
  /** Whether keys of language models are configured: what they are asked costs money. */
  hasOwnModelKeys: boolean;
  ports: Ports;
  publicUrl: string;
}

export interface Ports {
  api: number;
  postgres: number;
  temporal: number;
  temporalUi: number;
  sandbox: number;
  codec: number;
  workers: number[];
  /** Of the process of transactional messages. */
  transactional: number;
}

/** Turns configuration and command line into a plan; a port of 0 becomes one that is free. */
export async function makePlan(config: Config, options: StartOptions): Promise<Plan> {
  const count = options.workers ?? config.WORKERS;
  const ports: Ports = {
    api: await concretePort(config.API_PORT),
    postgres: await concretePort(config.POSTGRES_PORT),
    temporal: await concretePort(config.TEMPORAL_PORT),
    temporalUi: await concretePort(config.TEMPORAL_UI_PORT),
    sandbox: await concretePort(config.SANDBOX_PORT),
    codec: await concretePort(config.CODEC_PORT),
    workers: await Promise.all(
      Array.from({ length: count }, (_, index) =>
        concretePort(config.WORKER_PORT === 0 ? 0 : config.WORKER_PORT + index),
      ),
    ),
    transactional: await concretePort(config.WORKER_PORT === 0 ? 0 : config.WORKER_PORT + count),
  };
  return {
    config,
    options,
    dataDir: path.resolve(config.CARILLON_DATA_DIR),
    databaseUrl: config.DATABASE_URL,
    temporalAddress: config.TEMPORAL_ADDRESS,
    hasSandbox: config.SENDGRID_API_KEY === undefined,
    hasOwnModelKeys: config.OPENAI_API_KEY !== undefined || openRouterKeys().length > 0,
    ports,
    publicUrl: config.PUBLIC_URL ?? `http://localhost:${ports.api}`,
  };
}

/** Every reason why the plan cannot be carried out here, each a sentence that says what to do. */
export async function planProblems(plan: Plan): Promise<string[]> {
  const { config, ports } = plan;
  const external = await Promise.all([
    plan.databaseUrl === undefined ? undefined : databaseProblem(plan.databaseUrl),
    plan.databaseUrl === undefined || config.MIGRATION_DATABASE_URL === undefined
      ? undefined
      : databaseProblem(config.MIGRATION_DATABASE_URL, 'MIGRATION_DATABASE_URL'),
    plan.temporalAddress === undefined
      ? undefined
      : temporalProblem({ ...config, address: plan.temporalAddress }),
  ]);
  const claims: PortClaim[] = [
    { what: 'the API', variable: 'API_PORT', port: ports.api, host: config.API_HOST },
    {
      what: 'the codec server',
      variable: 'CODEC_PORT',
      port: ports.codec,
      host: config.CODEC_HOST,
    },
    ...(plan.databaseUrl === undefined
      ? [{ what: 'Postgres', variable: 'POSTGRES_PORT', port: ports.postgres }]
      : []),
    ...(plan.temporalAddress === undefined
      ? [
          { what: 'Temporal', variable: 'TEMPORAL_PORT', port: ports.temporal },
          { what: "Temporal's UI", variable: 'TEMPORAL_UI_PORT', port: ports.temporalUi },
        ]
      : []),
    ...(plan.hasSandbox
      ? [{ what: 'the sandbox', variable: 'SANDBOX_PORT', port: ports.sandbox }]
      : []),
    ...ports.workers.map((port, index) => ({
      what: `worker ${index + 1}`,
      variable: 'WORKER_PORT',
      port,
      host: config.WORKER_HOST,
    })),
    {
      what: 'the worker of transactional messages',
      variable: 'WORKER_PORT',
      port: ports.transactional,
      host: config.WORKER_HOST,
    },
  ];
  const portProblems = await Promise.all(claims.map((claim) => portProblem(claim, claims)));
  return [...external, ...portProblems].filter((problem) => problem !== undefined);
}

interface PortClaim {
  what: string;
  variable: string;
  port: number;
  host?: string;
}

async function portProblem(claim: PortClaim, all: PortClaim[]): Promise<string | undefined> {
  const { what, variable, port, host } = claim;
  if (port > 65_535) {
    return `${variable}: ${what} would need port ${port}, and the highest is 65535.`;
  }
  const rival = all.find((other) => other !== claim && other.port === port);
  if (rival !== undefined) {
    return `${variable} and ${rival.variable} both name port ${port}: give ${what} and ${rival.what} one each.`;
  }
  if (!(await isPortTaken(port, host))) {
    return undefined;
  }
  const holder = await portHolder(port);
  const who = holder === undefined ? 'another program' : holder;
  return `Port ${port}, wanted for ${what}, is in use by ${who}. Stop that, or set ${variable} to another port.`;
}

async function concretePort(port: number): Promise<number> {
  return port === 0 ? freePort() : port;
}
