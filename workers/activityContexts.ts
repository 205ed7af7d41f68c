import { asyncLocalStorage } from '@temporalio/activity';
import type { ActivityInterceptorsFactory, NativeConnection } from '@temporalio/worker';
import type { Activities } from '../activities';

/** They ask for their context before they first wait, and keep it. */
const askAtOnce: readonly string[] = [
  'dispatchSlice',
  'sendMessages',
  'applyStoredEvents',
  'settleRunDoubts',
] satisfies readonly (keyof Activities)[];

// The storages are the process's, whichever of its workers an activity is of.
let othersUnderWay = 0;

/**
 * Makes what Temporal remembers of running activities cost nothing while nobody asks for it. It is kept
 * in async-local storage, and as long as a process uses one, Node 20 calls JavaScript for every promise
 * and timer it makes: a lane of single calls made an eighth fewer of them. So the storage is switched
 * off while all activities under way have asked for their context; the next one that starts switches
 * it on.
 */
export function createActivityContexts(
  connection: Pick<NativeConnection, 'callContextStorage'>,
): ActivityInterceptorsFactory {
  const switchOff = () => {
    if (othersUnderWay === 0) {
      asyncLocalStorage.disable();
      // An activity's own client, which none of ours uses.
      connection.callContextStorage.disable();
    }
  };
  return ({ info }) => ({
    inbound: {
      async execute(input, next) {
        if (askAtOnce.includes(info.activityType)) {
          const ending = next(input);
          switchOff();
          return ending;
        }
        othersUnderWay += 1;
        try {
          return await next(input);
        } finally {
          othersUnderWay -= 1;
          switchOff();
        }
      },
    },
  });
}
