import { join } from 'node:path';
import type { Logger } from '../lib/logger';
import { createMemoryLog, openFileLog } from './appendLog';
import { CallLog, type Call } from './calls';
import { Faults } from './faults';
import { Accounting } from './inbox/accounting';
import { Mailbox } from './inbox/mailbox';
import { openRequestJournal, type JournaledRequest, type RequestHeader } from './journal';
import type { SandboxMode } from './options';
import type { OpenRequest, StageSummary, Vendor } from './vendor';
import { doneKey, Webhooks, type EventChannel } from './webhooks';

export interface IntakeParts {
  /** Null keeps everything in memory. */
  dataDir: string | null;
  mode: SandboxMode;
  vendors: Vendor[];
  /** How each vendor's events leave; a vendor that nobody listens to is not in it. */
  channels: ReadonlyMap<string, EventChannel>;
  logger: Logger;
}

/** Everything the sandbox knows: what was called, accepted, delivered and posted. */
export interface Intake {
  mode: SandboxMode;
  readonly faults: Faults;
  readonly calls: CallLog;
  readonly mailbox: Mailbox;
  readonly accounting: Accounting;
  readonly webhooks: Webhooks;
  /** Ends when the sandbox closes. */
  readonly closing: AbortSignal;
  /**
   * Takes a request in: journal first, then inbox and events. Once this has resolved the messages
   * are there, whatever happens to the process.
   */
  accept(call: Call, accepted: AcceptedRequest): Promise<void>;
  /** The body of an accepted request, as the journal keeps it. */
  bodyOf(request: JournaledRequest): Promise<Buffer>;
  /** Forgets all messages, calls and events, on disk too. */
  clear(): Promise<void>;
  /** Ends delays and held connections, so that what is under way comes to its end. */
  stopWaiting(): void;
  close(): Promise<void>;
}

export interface AcceptedRequest {
  header: RequestHeader;
  body: Buffer;
  open: OpenRequest;
}

/** Reads what the data folder holds and goes on from there. */
export async function openIntake(parts: IntakeParts): Promise<Intake> {
  const vendors = new Map(parts.vendors.map((vendor) => [vendor.name, vendor]));
  const pathOf = (name: string) => (parts.dataDir === null ? null : join(parts.dataDir, name));
  const closing = new AbortController();
  const faults = new Faults();
  const calls = new CallLog();
  const accounting = new Accounting();
  const mailbox = new Mailbox((request) => journal.readBody(request), vendors);
  const earlier: { request: JournaledRequest; stages: StageSummary[] }[] = [];

  const index = (request: JournaledRequest, open: OpenRequest) => {
    mailbox.add(request, open);
    for (const delivery of open.deliveries) {
      accounting.add(delivery);
    }
  };
  const journal = await openRequestJournal(pathOf('requests.jsonl'), (request, body) => {
    const open = vendors.get(request.vendor)?.open(request, body);
    if (!open) {
      parts.logger.warn({ vendor: request.vendor }, 'a request of an unknown vendor is left out');
      return;
    }
    calls.restore(callOf(request, open));
    index(request, open);
    if (request.events && parts.channels.has(request.vendor)) {
      earlier.push({ request, stages: open.stages() });
    }
  });
  const webhooks = await openWebhooks({ ...parts, path: pathOf('events-done.log') });

  async function openWebhooks({ channels, path, logger }: IntakeParts & { path: string | null }) {
    const finished = new Set<string>();
    const done =
      path === null
        ? createMemoryLog()
        : await openFileLog(path, (line) => finished.add(line.toString()));
    const open = (request: JournaledRequest) => mailbox.open(request);
    const opened = new Webhooks({ channels, open, done, faults, logger });
    for (const { request, stages } of earlier) {
      const isDone = (stage: string) => finished.has(doneKey(request.messageId, stage));
      opened.add(request, { stages: () => stages }, isDone);
    }
    return opened;
  }

  return {
    mode: parts.mode,
    faults,
    calls,
    mailbox,
    accounting,
    webhooks,
    closing: closing.signal,
    async accept(call, { header, body, open }) {
      const request = await journal.append(header, body);
      index(request, open);
      calls.accept(call, {
        recipients: open.deliveries.length,
        messageId: header.messageId,
        customArgs: open.customArgs,
      });
      if (header.events) {
        webhooks.add(request, open);
      }
    },
    bodyOf: (request) => journal.readBody(request),
    async clear() {
      await webhooks.clear();
      await journal.clear();
      mailbox.clear();
      accounting.clear();
      calls.clear();
    },
    stopWaiting: () => closing.abort(),
    async close() {
      closing.abort();
      await webhooks.close();
      await journal.close();
    },
  };
}

function callOf(request: JournaledRequest, open: OpenRequest): Call {
  return {
    n: request.n,
    vendor: request.vendor,
    receivedAt: new Date(request.receivedAt).toISOString(),
    answeredAt: null,
    status: null,
    recipients: open.deliveries.length,
    messageId: request.messageId,
    customArgs: open.customArgs,
  };
}
