import { platformTenantId } from '../../models/identity/platformTenant';
import { newId } from '../../lib/ids';
import { publicUrl } from '../../lib/publicUrl';
import { hashToken } from '../../lib/tokens';
import { withTenant } from '../../models/base';
import { resolveAccount } from '../../models/messages/accounts';
import { acceptMessage } from '../../models/transactional/accept';
import { tellLanes } from '../../models/transactional/channel';
import type { ApiDeps } from '../deps';
import { escapeHtml } from '../html';
import { accountTextsOf, type MailText } from './accountTexts';

/** The pages that mails lead to, each of which takes a token. */
export type AccountPage = 'reset' | 'verify' | 'invitation';

export interface AccountMail {
  /** Whom it is about: kept as who asked for the message. */
  readonly userId: string;
  readonly email: string;
  /** Of the person; what is not among ours is English. */
  readonly language: string | null;
  readonly page: AccountPage;
  readonly token: string;
  readonly text: (texts: ReturnType<typeof accountTextsOf>) => MailText;
}

/**
 * Sends a mail about somebody's own account by the lane of single messages. It is the platform's: a
 * tenant that nobody is a member of asks for it, so that no other one sees or pays for it, and what it
 * says is forgotten when it has left. Answers false where no account could carry it yet.
 */
export async function sendAccountMail(deps: ApiDeps, mail: AccountMail): Promise<boolean> {
  const texts = accountTextsOf(mail.language);
  const text = mail.text(texts);
  const link = `${publicUrl(deps.config)}/account/${mail.page}?token=${mail.token}`;
  const id = newId();
  const isAccepted = await withTenant(deps.db, platformTenantId, async (trx) => {
    const account = await resolveAccount(trx, platformTenantId, 'email');
    if (account === null) {
      return false;
    }
    await acceptMessage(trx, {
      tenantId: platformTenantId,
      id,
      slot: id,
      digest: hashToken(id),
      accountId: account.id,
      customerId: null,
      address: mail.email,
      content: {
        channel: 'email',
        from: { email: senderOf(deps), name: 'Carillon' },
        toName: null,
        replyTo: null,
        subject: text.subject,
        html: htmlOf(text, link, texts.language),
        text: [...text.lines, link, text.ignore].join('\n\n'),
      },
      createdBy: mail.userId,
    });
    return true;
  });
  if (isAccepted) {
    // Nobody waits for it: it costs the mail a moment when it fails.
    tellLanes(deps.db).catch((error: unknown) => {
      deps.logger.warn({ err: error }, 'lanes not told of a message');
    });
  } else {
    deps.logger.warn({ userId: mail.userId }, 'no account of the platform carries mail');
  }
  return isAccepted;
}

function senderOf({ config }: Pick<ApiDeps, 'config'>): string {
  const { hostname } = new URL(publicUrl(config));
  // Providers take no sender of a host without a domain, such as localhost.
  return (
    config.ACCOUNT_MAIL_FROM ?? `no-reply@${hostname.includes('.') ? hostname : 'carillon.test'}`
  );
}

function htmlOf({ subject, lines, button, ignore }: MailText, link: string, language: string) {
  const href = escapeHtml(link);
  return `<!doctype html>
<html lang="${language}">
<head><meta charset="utf-8"><title>${escapeHtml(subject)}</title></head>
<body style="font: 16px/1.5 system-ui, sans-serif">
${lines.map((line) => `<p>${escapeHtml(line)}</p>`).join('\n')}
<p><a href="${href}">${escapeHtml(button)}</a></p>
<p><small>${escapeHtml(ignore)}</small></p>
</body>
</html>
`;
}
