import type { ConnectionOutcome } from '../../domain/messages/accounts/types';
import { SmtpSession, type SmtpFailure, type SmtpServer } from './smtpSession';

const maxReasonLength = 300;

/** Connects to a mail server, logs in and says goodbye; no message is begun by it. */
export async function testSmtp(server: SmtpServer): Promise<ConnectionOutcome> {
  // All of it: a server may answer each step just in time.
  const timeoutMs = server.connectionTimeoutMs + server.greetingTimeoutMs;
  const session = await SmtpSession.open(server, timeoutMs, () => undefined);
  if (session instanceof SmtpSession) {
    await session.quit();
    return { kind: 'accepted' };
  }
  return outcomeOf(session, server);
}

function outcomeOf({ reply, code }: SmtpFailure, { auth }: SmtpServer): ConnectionOutcome {
  // 5xx is for good (RFC 5321 4.2.1); with 4xx nothing is known yet.
  const kind = reply?.startsWith('5') === true ? 'refused' : 'unreachable';
  return { kind, reason: withoutSecrets(reply ?? code, auth).slice(0, maxReasonLength) };
}

// A server may repeat what it was told, in clear or as it was encoded for it (RFC 4616).
function withoutSecrets(reply: string, auth: SmtpServer['auth']): string {
  const line = reply.replace(/\p{Cc}+/gu, ' ');
  if (auth === null) {
    return line;
  }
  const { user, password } = auth;
  const encoded = [password, `\u0000${user}\u0000${password}`].map((text) =>
    Buffer.from(text).toString('base64'),
  );
  return [password, ...encoded].reduce((text, secret) => text.replaceAll(secret, '[secret]'), line);
}
