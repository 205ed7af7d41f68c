import { execFileSync } from 'node:child_process';
import { accessSync, chownSync, constants, mkdirSync, statSync } from 'node:fs';
import { userInfo } from 'node:os';
import path from 'node:path';

/** A command ready to be spawned; uid and gid are set when the spawn itself must change them. */
export interface RunnableCommand {
  command: string;
  args: string[];
  uid?: number;
  gid?: number;
}

export interface ServerUser {
  uid: number;
  gid: number;
}

/**
 * Whom Postgres runs as. It refuses root, so root hands it to `postgres`, else to `nobody`;
 * anybody else runs it as themselves (undefined).
 */
export function serverUser(): ServerUser | undefined {
  if (userInfo().uid !== 0) {
    return undefined;
  }
  for (const name of ['postgres', 'nobody']) {
    const uid = idOf('-u', name);
    const gid = idOf('-g', name);
    if (uid !== undefined && gid !== undefined) {
      return { uid, gid };
    }
  }
  throw new Error(
    'Postgres refuses to run as root, and this machine has neither a user "postgres" nor "nobody" ' +
      'to run it as. Start as another user, or set DATABASE_URL.',
  );
}

/** Makes the folder, readable by its owner alone, and gives it to the server's user. */
export function makeServerFolder(folder: string, user: ServerUser | undefined): void {
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  if (user !== undefined) {
    chownSync(folder, user.uid, user.gid);
  }
}

/**
 * The command as the server's user would run it, and such that the system ends it when its parent
 * dies (Linux with util-linux). A user that may not pass through the folders above `reaches` keeps
 * the one capability to do so, because a clone under /root or in a mktemp folder is closed to others.
 */
export function asServerUser(
  command: string,
  args: string[],
  options: { user: ServerUser | undefined; reaches: string[]; deathSignal: 'INT' | 'TERM' },
): RunnableCommand {
  const { user } = options;
  const isClosed = user !== undefined && !options.reaches.every(isOpenToAll);
  if (!hasSetpriv()) {
    if (isClosed) {
      throw new Error(
        `Postgres refuses to run as root, and the user it runs as cannot enter ${options.reaches.join(' or ')}. ` +
          'Start as another user, or put the project and CARILLON_DATA_DIR where others may enter.',
      );
    }
    return { command, args, ...user };
  }
  const identity =
    user === undefined
      ? []
      : ['--reuid', `${user.uid}`, '--regid', `${user.gid}`, '--clear-groups'];
  const passage = isClosed ? keepPassage : [];
  return {
    command: 'setpriv',
    args: [...identity, ...passage, '--pdeathsig', options.deathSignal, command, ...args],
  };
}

// Ambient, so that the capability outlives the exec; and without the fix-up that would hide it from
// access(2), by which initdb looks for the programs beside it.
const keepPassage = [
  '--inh-caps',
  '+dac_override',
  '--ambient-caps',
  '+dac_override',
  '--securebits',
  '+no_setuid_fixup',
];

function isOpenToAll(folder: string): boolean {
  for (let at = path.resolve(folder); ; at = path.dirname(at)) {
    const isHere = statSync(at, { throwIfNoEntry: false });
    if (isHere !== undefined && at !== path.resolve(folder) && (isHere.mode & 0o001) === 0) {
      return false;
    }
    if (at === path.dirname(at)) {
      return true;
    }
  }
}

let setprivIsThere: boolean | undefined;

function hasSetpriv(): boolean {
  setprivIsThere ??= askSetpriv();
  return setprivIsThere;
}

// BusyBox has a setpriv too, without what we need of it.
function askSetpriv(): boolean {
  try {
    return execFileSync('setpriv', ['--help'], { encoding: 'utf8' }).includes('--pdeathsig');
  } catch {
    return false;
  }
}

function idOf(flag: '-u' | '-g', name: string): number | undefined {
  try {
    const text = execFileSync('id', [flag, name], { encoding: 'utf8', stdio: 'pipe' });
    return Number.parseInt(text, 10);
  } catch {
    return undefined;
  }
}

/** Whether the file may be run as a program. */
export function isExecutable(file: string): boolean {
  try {
    accessSync(file, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}
