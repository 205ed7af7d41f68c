import { invalid } from '../../domain/errors';
import { compileContent } from '../../domain/messages/compileContent';
import { ContentError } from '../../domain/messages/content';
import type { ContentValues } from '../../models/campaigns/campaigns';

/**
 * Content as it can be sent, with the targets of its tracked links.
 *
 * @throws invalid naming the part, the line and the column of each part's first problem.
 */
export function checkedContent(content: Omit<ContentValues, 'links'>): ContentValues {
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
    return { ...content, links };
  } catch (error) {
    if (!(error instanceof ContentError)) {
      throw error;
    }
    throw invalid(
      error.problems.map(({ field, line, column, message }) => ({
        path: `content.${field}`,
        code: 'wrongContent',
        message: `Line ${line}, column ${column}: ${message}.`,
      })),
    );
  }
}
