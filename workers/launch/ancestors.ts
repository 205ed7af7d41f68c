import { commandLineOf, isAlive, parentOf } from '../../lib/processes';

const checkMs = 1000;
const furthest = 6;

/**
 * Calls `onGone` once when whoever started us is gone without having told us: npm, its shell or tsx
 * between npm and this process. Somebody who kills those means all of it.
 */
export async function watchLaunchers(onGone: () => void): Promise<void> {
  const launchers = await launchersOf(process.pid);
  if (launchers.length === 0) {
    return;
  }
  const timer = setInterval(() => {
    if (!launchers.every(isAlive)) {
      clearInterval(timer);
      onGone();
    }
  }, checkMs);
  timer.unref();
}

// Upwards as far as npm; without npm, as far as tsx; a plain shell above them is not ours to watch.
async function launchersOf(pid: number): Promise<number[]> {
  const chain: { pid: number; isLauncher: boolean }[] = [];
  let at = await parentOf(pid);
  while (at !== undefined && at > 1 && chain.length < furthest) {
    const commandLine = await commandLineOf(at);
    chain.push({ pid: at, isLauncher: /\bnpm\b|tsx/.test(commandLine) });
    at = await parentOf(at);
  }
  const last = chain.findLastIndex(({ isLauncher }) => isLauncher);
  return chain.slice(0, last + 1).map((process) => process.pid);
}
