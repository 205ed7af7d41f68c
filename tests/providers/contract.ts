import { createServer } from 'node:net';
import type { MessageOutcome, MessageReference } from '../../providers/types';
import type { FaultPlan, Sandbox } from '../../sandbox';
import { api, closeAll, eventually, openSandbox, setFaults } from '../sandbox/support';

/** A provider that carries one message a call, as the contract looks at it. */
export interface ProviderUnderTest {
  send(to: string, reference: MessageReference): Promise<MessageOutcome>;
  close(): unknown;
}

/** Where a provider calls, and with what. */
export interface Target {
  sandbox: Sandbox;
  /** Another port of this machine than the sandbox's. */
  port?: number;
  timeoutMs: number;
  /** Credentials that the vendor does not know. */
  wrongCredentials?: boolean;
}

/** A refusal, and how the stand-in is brought to make it. */
export interface RefusalCase {
  name: string;
  to?: string;
  faults?: Partial<FaultPlan>;
  wrongCredentials?: boolean;
  expected: Partial<MessageOutcome>;
}

/** All that differs between vendors; a vendor joins the contract with one of these. */
export interface VendorEntry {
  name: string;
  connect(target: Target): ProviderUnderTest;
  /** Recipients nothing is special about, as many as wanted. */
  recipient(n: number): string;
  acceptedStatus: number;
  /** At least one for each class and consequence that the vendor has. */
  refusals: RefusalCase[];
  /** Faults that throttle, asking to wait so long (null: the vendor does not say). */
  throttling: {
    name: string;
    faults: Partial<FaultPlan>;
    status: number;
    retryAfterMs: number | null;
  }[];
  /** Faults after which the message may be there; `delivered` says whether it is. */
  doubts: { name: string; faults: Partial<FaultPlan>; delivered: number }[];
}

const reference: MessageReference = {
  runId: '019a9d00-0000-7000-8000-00000000000a',
  dispatchN: 12,
  attempt: 3,
  messageN: 4_711,
};

const PATIENT_MS = 20_000;
// Only a call that is never answered gets to its end; a busy machine has to connect before it.
const IMPATIENT_MS = 3_000;

/** What every provider that carries one message a call promises, whatever the vendor. */
export function describeContract(vendor: VendorEntry): void {
  describe(`${vendor.name}, as a provider of one message a call`, () => {
    const open: ProviderUnderTest[] = [];
    let sandbox: Sandbox;

    beforeEach(async () => {
      sandbox = await openSandbox({ smtp: { port: 0 } });
    });
    afterEach(async () => {
      await Promise.all(open.splice(0).map((provider) => provider.close()));
      await closeAll();
    });

    function connect(changes: Partial<Target> = {}): ProviderUnderTest {
      const provider = vendor.connect({ sandbox, timeoutMs: PATIENT_MS, ...changes });
      open.push(provider);
      return provider;
    }

    const stats = () => api<{ calls: number; delivered: number }>(sandbox, '/stats');
    const to = vendor.recipient(1);

    test('an accepted message is there, under the id that was answered', async () => {
      const outcome = await connect().send(to, reference);
      expect(outcome).toEqual({
        kind: 'accepted',
        status: vendor.acceptedStatus,
        providerMessageId: expect.stringMatching(/\S/),
      });
      const { items } = await messages(sandbox);
      expect(items).toHaveLength(1);
      expect(items[0]?.messageId).toBe(
        outcome.kind === 'accepted' ? outcome.providerMessageId : null,
      );
    });

    test('the reference is with the message', async () => {
      await connect().send(to, reference);
      const { items } = await messages(sandbox);
      expect(items[0]?.customArgs).toMatchObject({
        carillon_r: reference.runId,
        carillon_d: `${reference.dispatchN}.${reference.attempt}`,
        carillon_m: String(reference.messageN),
      });
    });

    test.each(vendor.refusals)('refused: $name', async (refusal) => {
      await setFaults(sandbox, refusal.faults ?? {});
      const { wrongCredentials = false } = refusal;
      const outcome = await connect({ wrongCredentials }).send(refusal.to ?? to, reference);
      expect(outcome).toMatchObject({ reason: expect.stringMatching(/\S/), ...refusal.expected });
      expect((await stats()).delivered).toBe(0);
    });

    test.each(vendor.throttling)(
      'throttled: $name; nothing was taken, and the account waits',
      async ({ faults, status, retryAfterMs }) => {
        await setFaults(sandbox, faults);
        const outcome = await connect().send(to, reference);
        expect(outcome).toMatchObject({ kind: 'throttled', status });
        const waits = outcome.kind === 'throttled' ? outcome.retryAfterMs : 0;
        expect(waits).toBeGreaterThan(0);
        expect(waits).toBe(retryAfterMs ?? waits);
        expect(await stats()).toMatchObject({ calls: 1, delivered: 0 });
      },
    );

    test.each(vendor.doubts)(
      'in doubt: $name; the call is not made again',
      async ({ faults, delivered }) => {
        await setFaults(sandbox, faults);
        expect(await connect().send(to, reference)).toMatchObject({ kind: 'inDoubt' });
        expect(await stats()).toMatchObject({ calls: 1, delivered });
      },
    );

    test('no answer in time is in doubt', async () => {
      await setFaults(sandbox, { hang: true });
      const provider = connect({ timeoutMs: IMPATIENT_MS });
      expect(await provider.send(to, reference)).toMatchObject({ kind: 'inDoubt', status: null });
      await eventually(async () => (await stats()).calls === 1);
    });

    test('a refused connection sent nothing', async () => {
      const provider = connect({ port: await closedPort() });
      expect(await provider.send(to, reference)).toMatchObject({
        kind: 'notSent',
        status: null,
        reason: 'ECONNREFUSED',
        retryAfterMs: expect.any(Number),
      });
    });

    test('a vendor that is back is called again over the same provider', async () => {
      const provider = connect();
      await setFaults(sandbox, { dropAfterAccept: 1, count: 1 });
      expect((await provider.send(to, reference)).kind).toBe('inDoubt');
      expect((await provider.send(vendor.recipient(2), reference)).kind).toBe('accepted');
    });

    test('calls made at the same time keep their own outcomes', async () => {
      const [refusal] = vendor.refusals.filter(({ to: number }) => number !== undefined);
      const provider = connect();
      const outcomes = await Promise.all(
        Array.from({ length: 24 }, (_, n) =>
          provider.send(n % 2 === 0 ? vendor.recipient(n) : (refusal?.to ?? to), {
            ...reference,
            messageN: n + 1,
          }),
        ),
      );
      for (const [n, { kind }] of outcomes.entries()) {
        expect(kind).toBe(n % 2 === 0 ? 'accepted' : refusal?.expected.kind);
      }
      const { items } = await messages(sandbox);
      const arrived = items.map(({ customArgs }) => Number(customArgs.carillon_m));
      expect(arrived.toSorted((a, b) => a - b)).toEqual(
        Array.from({ length: 12 }, (_, n) => 2 * n + 1),
      );
    });
  });
}

function messages(sandbox: Sandbox) {
  return api<{ items: { messageId: string; customArgs: Record<string, string> }[] }>(
    sandbox,
    '/messages',
  );
}

/** A port that nobody listens on: one that was free a moment ago. */
async function closedPort(): Promise<number> {
  const server = createServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const address = server.address();
  await new Promise<void>((resolve) => server.close(() => resolve()));
  return typeof address === 'object' && address ? address.port : 0;
}
