import { type AppError, invalid } from '../../domain/errors';
import { compileContent } from '../../domain/messages/compileContent';
import { checkSms, checkWhatsApp } from '../../domain/messages/compileText';
import { ContentError, type ContentProblem } from '../../domain/messages/content';
import type { ContentValues, EmailValues } from '../../models/campaigns/contentValues';

/** Content as a caller gives it: what is found in it is not known yet. */
export type GivenContent = Exclude<ContentValues, EmailValues> | Omit<EmailValues, 'links'>;

/**
 * Content as it can be sent, with the targets of its tracked links.
 *
 * @throws invalid naming the part, the line and the column of each part's first problem.
 */
export function checkedContent(content: GivenContent): ContentValues {
  switch (content.channel) {
    case 'email':
      return { ...content, links: linksOf(content) };
    case 'sms':
      refuse(checkSms(content), 'content');
      return content;
    case 'whatsapp':
      refuse(checkWhatsApp(content.message), 'content.message');
      return content;
  }
}

function linksOf(content: Omit<EmailValues, 'links'>): string[] {
  try {
    // The names a template may show change nothing of what is checked here, nor the links.
    const { links } = compileContent(
      {
        subject: content.subject,
        preheader: content.preheader ?? undefined,
        html: content.html,
        text: content.text ?? undefined,
      },
      { campaignName: '', tenantName: '' },
    );
    return links;
  } catch (error) {
    if (!(error instanceof ContentError)) {
      throw error;
    }
    throw wrongContent(error.problems, 'content');
  }
}

function refuse(problems: readonly ContentProblem[], path: string): void {
  if (problems.length > 0) {
    throw wrongContent(problems, path);
  }
}

function wrongContent(problems: readonly ContentProblem[], path: string): AppError {
  return invalid(
    problems.map(({ field, line, column, message }) => ({
      path: `${path}.${field}`,
      code: 'wrongContent',
      message: `Line ${line}, column ${column}: ${message}.`,
    })),
  );
}
