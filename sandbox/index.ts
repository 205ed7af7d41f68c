import type { Server } from 'node:http';
import { openIntake, type Intake } from './intake';
import { metaVendor } from './meta/acceptedMessage';
import { DEMO_META_ACCOUNT, numbersOf } from './meta/accounts';
import { createTemplates } from './meta/templates';
import { createStatusChannel } from './meta/webhook';
import { createWindows } from './meta/windows';
import { DEMO_OPENROUTER_ACCOUNTS, OpenRouterAccounts } from './openrouter/accounts';
import { OpenRouterCalls } from './openrouter/calls';
import { OpenRouterFaults } from './openrouter/faults';
import { Generations } from './openrouter/generations';
import type { SandboxOptions } from './options';
import { createSendGridVendor } from './sendgrid/acceptedMail';
import { createEventChannel } from './sendgrid/eventPost';
import { createMailSend } from './sendgrid/mailSend';
import { createSandboxServer } from './server';
import { twilioVendor } from './twilio/acceptedMessage';
import { accountsOf, DEMO_TWILIO_ACCOUNT } from './twilio/accounts';
import { createCallbackChannel } from './twilio/callbacks';
import { createSmtpVendor } from './smtp/acceptedMail';
import { startSmtpServer, type SmtpStandIn } from './smtp/server';

export { DEMO_ENGAGEMENT } from './options';
export type { EngagementRates, SandboxMode, SandboxOptions, WebhookTarget } from './options';
export type { Call } from './calls';
export type { FaultPlan } from './faults';
export { createWebhookKeys, publicKeyOf } from './sendgrid/eventPost';
export { DEMO_META_ACCOUNT, type MetaSandboxAccount } from './meta/accounts';
export {
  DEMO_OPENROUTER_ACCOUNTS,
  type OpenRouterSandboxAccount,
  type OpenRouterSandboxKey,
} from './openrouter/accounts';
export { OPENROUTER_PATH } from './openrouter/api';
export type { CallCounts, OpenRouterCall } from './openrouter/calls';
export {
  DEMO_OPENROUTER_FAULTS,
  openRouterFaults,
  type FaultRule as OpenRouterFault,
  type OpenRouterFaultName,
} from './openrouter/faults';
export { DEMO_TWILIO_ACCOUNT, type TwilioSandboxAccount } from './twilio/accounts';

const CLOSE_GRACE_MS = 2_000;

export interface Sandbox {
  /** Base address of everything: vendors' APIs, inbox, control. */
  url: string;
  port: number;
  /** The mail server, if it was asked for. */
  smtp: Pick<SmtpStandIn, 'port' | 'connections'> | null;
  /** Answers what is under way (two seconds at most), then stops; what was accepted stays. */
  close(): Promise<void>;
}

/** Starts the providers' stand-in. Rejects when the port is taken or a journal cannot be read. */
export async function startSandbox(options: SandboxOptions): Promise<Sandbox> {
  const { host = '127.0.0.1', dataDir, mode = 'inbox', webhook, apiKeys, logger } = options;
  const audience = {
    seed: options.eventSeed ?? 'carillon',
    engagement: options.engagement ?? null,
  };
  const twilioAccounts = accountsOf(options.twilioAccounts ?? [DEMO_TWILIO_ACCOUNT]);
  const metaNumbers = numbersOf(options.metaAccounts ?? [DEMO_META_ACCOUNT]);
  const channels = new Map([
    ['twilio', createCallbackChannel(twilioAccounts)],
    ['meta', createStatusChannel(metaNumbers)],
  ]);
  if (webhook) {
    channels.set('sendgrid', createEventChannel(webhook));
  }
  const intake = await openIntake({
    dataDir: dataDir ?? null,
    mode,
    vendors: [createSendGridVendor(audience), twilioVendor, metaVendor, createSmtpVendor()],
    channels,
    logger,
  });
  const mailSend = createMailSend({ intake, audience, apiKeys: apiKeys ?? null });
  const server = createSandboxServer({
    intake,
    mailSend,
    sendGridKeys: apiKeys ?? null,
    twilioAccounts,
    meta: {
      intake,
      numbers: metaNumbers,
      templates: createTemplates(),
      windows: createWindows(),
    },
    openRouter: {
      accounts: new OpenRouterAccounts(options.openRouterAccounts ?? DEMO_OPENROUTER_ACCOUNTS),
      faults: new OpenRouterFaults(options.openRouterFaults ?? []),
      calls: new OpenRouterCalls(),
      generations: new Generations(),
      seed: audience.seed,
      closing: intake.closing,
    },
    logger,
  });
  try {
    const port = await listen(server, options.port, host);
    const url = `http://${host.includes(':') ? `[${host}]` : host}:${port}`;
    const smtp = options.smtp
      ? await startSmtpServer(options.smtp, { intake, host, logger })
      : null;
    logger.info(
      { url, mode, events: webhook !== undefined, smtpPort: smtp?.port ?? null },
      'sandbox ready',
    );
    return { url, port, smtp, close: () => close(server, intake, smtp) };
  } catch (error) {
    server.close();
    await intake.close();
    throw error;
  }
}

function listen(server: Server, port: number, host: string): Promise<number> {
  return new Promise((resolve, reject) => {
    const onError = (error: Error) => reject(explain(error, port));
    server.once('error', onError);
    server.listen(port, host, () => {
      server.off('error', onError);
      const address = server.address();
      resolve(typeof address === 'object' && address ? address.port : port);
    });
  });
}

function explain(error: Error, port: number): Error {
  return 'code' in error && error.code === 'EADDRINUSE'
    ? new Error(`port ${port} is in use: stop what uses it, or choose another port`, {
        cause: error,
      })
    : error;
}

async function close(server: Server, intake: Intake, smtp: SmtpStandIn | null): Promise<void> {
  const closed = new Promise<void>((resolve) => server.close(() => resolve()));
  intake.stopWaiting();
  const mailClosed = smtp?.close();
  server.closeIdleConnections();
  const hurry = setTimeout(() => server.closeAllConnections(), CLOSE_GRACE_MS);
  await Promise.all([closed, mailClosed]);
  clearTimeout(hurry);
  await intake.close();
}
