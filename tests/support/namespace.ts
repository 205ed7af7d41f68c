import { prepareNamespace } from '../../workers/launch/temporalAccess';
import { temporalAddress } from './temporal';

let made = 0;

/** A namespace of its own on the shared server, because our task queues have fixed names. */
export async function createTestNamespace(address = temporalAddress()): Promise<string> {
  made += 1;
  const namespace = `test-${process.pid}-${Date.now()}-${made}`;
  await prepareNamespace({
    address,
    TEMPORAL_NAMESPACE: namespace,
    TEMPORAL_TLS: false,
    TEMPORAL_API_KEY: undefined,
  });
  return namespace;
}
