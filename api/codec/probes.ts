import { pendingMigrations } from '../../models/operations/pendingMigrations';
import type { ApiContext } from '../context';
import type { CodecDeps } from './deps';

/** Says that the process lives. */
export async function health(context: ApiContext): Promise<void> {
  context.body = { status: 'ok' };
}

/** Says whether the database answers and has the tables; nothing else is needed to decrypt. */
export async function ready(context: ApiContext, { db, logger }: CodecDeps): Promise<void> {
  try {
    const pending = await pendingMigrations(db);
    if (pending.length > 0) {
      throw new Error(`${pending.join(', ')} not run yet: npm run migrate`);
    }
    context.body = { status: 'ready' };
  } catch (error) {
    logger.warn({ err: error }, 'not ready');
    context.set('Retry-After', '2');
    context.status = 503;
    context.body = { status: 'notReady' };
  }
}

/** Numbers for Prometheus. */
export async function metrics(context: ApiContext, deps: CodecDeps): Promise<void> {
  context.type = 'text/plain; version=0.0.4; charset=utf-8';
  context.body = await deps.metrics.metrics();
}
