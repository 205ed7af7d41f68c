import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import path from 'node:path';
import { childEnvironment } from '../../lib/config';
import { Reply, type Command } from './messages';

// Every request has a deadline: what takes longer hangs.
const LONGEST_MS = 120_000;

type Did<D extends Command['do']> = Extract<Reply, { did: D }>;

/** A process that uses the gateway as a library. */
export interface GatewayProcess {
  pid: number;
  /** One at a time. */
  run<D extends Command['do']>(command: Extract<Command, { do: D }>): Promise<Did<D>>;
  stop(): Promise<void>;
}

/** Starts one and resolves when it knows its keys. */
export async function startGatewayProcess(
  dist: string,
  flags: Readonly<Record<string, string>>,
): Promise<GatewayProcess> {
  const args = Object.entries(flags).map(([name, value]) => `--${name}=${value}`);
  const child = fork(path.join(dist, 'bench/llm/process.js'), args, {
    serialization: 'advanced',
    stdio: ['ignore', 'ignore', 'inherit', 'ipc'],
    env: childEnvironment({ NODE_ENV: 'production' }),
  });
  const gone = once(child, 'exit');
  await next(child, 'ready');
  return {
    pid: child.pid ?? 0,
    run(command) {
      const did = next(child, command.do);
      child.send(command);
      return did;
    },
    async stop() {
      child.send({ do: 'stop' } satisfies Command);
      const timer = setTimeout(() => child.kill('SIGKILL'), 10_000);
      await gone;
      clearTimeout(timer);
    },
  };
}

function next<D extends Reply['did']>(
  child: ChildProcess,
  did: D,
): Promise<Extract<Reply, { did: D }>> {
  return new Promise((resolve, reject) => {
    const timer = setTimeout(() => {
      end();
      child.kill('SIGKILL');
      reject(new Error(`a process of the gateway was not done with "${did}" in time`));
    }, LONGEST_MS);
    const end = () => {
      clearTimeout(timer);
      child.off('message', onMessage);
      child.off('exit', onExit);
    };
    const onExit = () => {
      end();
      reject(new Error('a process of the gateway ended'));
    };
    const onMessage = (message: unknown) => {
      const reply = Reply.parse(message);
      if (reply.did === 'fail') {
        end();
        reject(new Error(reply.error));
      } else if (isReply(reply, did)) {
        end();
        resolve(reply);
      }
    };
    child.on('message', onMessage);
    child.on('exit', onExit);
  });
}

function isReply<D extends Reply['did']>(
  reply: Reply,
  did: D,
): reply is Extract<Reply, { did: D }> {
  return reply.did === did;
}
