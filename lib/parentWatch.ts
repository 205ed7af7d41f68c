import { isAlive } from './processes';

const checkMs = 500;
const patienceMs = 7000;

/**
 * Ends this process soon after the process it depends on is gone, however that one ended: `onGone`
 * is called once to stop gracefully, and what still runs 7 s later exits. Without a pid it does nothing.
 */
export function exitWithParent(pid: number | undefined, onGone: () => void): void {
  if (pid === undefined) {
    return;
  }
  const timer = setInterval(() => {
    if (isAlive(pid)) {
      return;
    }
    clearInterval(timer);
    setTimeout(() => process.exit(1), patienceMs).unref();
    onGone();
  }, checkMs);
  // The watch alone is no reason to stay alive.
  timer.unref();
}
