import { randomInt } from 'node:crypto';
import { createConnection, createServer } from 'node:net';
import { readdir, readFile, readlink } from 'node:fs/promises';
import { commandLineOf } from '../../lib/processes';

/**
 * Below those that systems give to outgoing connections (from 32,768 on Linux, from 49,152 elsewhere):
 * one of those may be taken between being found free and being listened on.
 */
const firstChoice = 12_000;
const lastChoice = 32_000;

const given = new Set<number>();

/** A port of the loopback address that was free a moment ago; each time another one. */
export function freePort(): Promise<number> {
  return freeBlock(1);
}

/** The first of so many free ports in a row; none of them is given again. */
export async function freeBlock(count: number): Promise<number> {
  for (;;) {
    const first = randomInt(firstChoice, lastChoice - count);
    const ports = Array.from({ length: count }, (_, index) => first + index);
    const taken = await Promise.all(ports.map((port) => isPortTaken(port)));
    // Looked at after the wait: another caller may have drawn the same in between.
    if (!taken.includes(true) && !ports.some((port) => given.has(port))) {
      ports.forEach((port) => given.add(port));
      return first;
    }
  }
}

/** Whether somebody listens on the port, on this host. */
export function isPortTaken(port: number, host = '127.0.0.1'): Promise<boolean> {
  return new Promise((resolve) => {
    const server = createServer();
    server.once('error', () => resolve(true));
    server.listen({ port, host, exclusive: true }, () => server.close(() => resolve(false)));
  });
}

/** Whether a connection to host:port is accepted within the time given. */
export function acceptsConnections(
  host: string,
  port: number,
  timeoutMs: number,
): Promise<boolean> {
  return new Promise((resolve) => {
    const socket = createConnection({ host, port });
    const settle = (answer: boolean) => {
      socket.destroy();
      resolve(answer);
    };
    socket.setTimeout(timeoutMs, () => settle(false));
    socket.once('connect', () => settle(true)).once('error', () => settle(false));
  });
}

/** Who listens on the port, as "pid 123 (node server.js)"; undefined where the system hides it. */
export async function portHolder(port: number): Promise<string | undefined> {
  const inode = await listenerInode(port);
  if (inode === undefined) {
    return undefined;
  }
  const pid = await ownerOfSocket(inode);
  if (pid === undefined) {
    return undefined;
  }
  const commandLine = await commandLineOf(pid);
  const shown = commandLine.length > 80 ? `${commandLine.slice(0, 80)}…` : commandLine;
  return `pid ${pid} (${shown})`;
}

// Linux tells in /proc; elsewhere we say only that the port is taken.
async function listenerInode(port: number): Promise<string | undefined> {
  const hexPort = port.toString(16).toUpperCase().padStart(4, '0');
  for (const table of ['/proc/net/tcp', '/proc/net/tcp6']) {
    const rows = (await readFile(table, 'utf8').catch(() => '')).split('\n').slice(1);
    for (const row of rows) {
      const columns = row.trim().split(/\s+/);
      const isListening = columns[3] === '0A';
      if (isListening && columns[1]?.endsWith(`:${hexPort}`)) {
        return columns[9];
      }
    }
  }
  return undefined;
}

async function ownerOfSocket(inode: string): Promise<number | undefined> {
  const pids = (await readdir('/proc').catch(() => [])).filter((name) => /^\d+$/.test(name));
  for (const pid of pids) {
    const descriptors = await readdir(`/proc/${pid}/fd`).catch(() => []);
    for (const descriptor of descriptors) {
      const target = await readlink(`/proc/${pid}/fd/${descriptor}`).catch(() => '');
      if (target === `socket:[${inode}]`) {
        return Number(pid);
      }
    }
  }
  return undefined;
}
