import { setCurrentDetails } from '@temporalio/workflow';
import { records } from '../proxies';

// More than are written in an hour; the next run goes on.
const batches = 100;

/** Once an hour: a new key for access tokens when it is time, and nothing kept of sign-ins long over. */
export async function tendSignIn(): Promise<void> {
  const kid = await records.rotateOldSigningKey();
  let forgotten = 0;
  for (let batch = 1; batch <= batches; batch += 1) {
    const { rows, isMoreLeft } = await records.forgetSignIns();
    forgotten += rows;
    if (!isMoreLeft) {
      break;
    }
  }
  const key = kid === null ? 'The signing key is young enough.' : `The new signing key is ${kid}.`;
  setCurrentDetails(`${key} ${forgotten} rows of sign-ins forgotten.`);
}
