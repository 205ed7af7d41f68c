import type { Problems } from './errors';
import type { Mail } from './mail';
import { isRecord, type JsonObject } from './readFields';

/** Checks the bodies: text first, then HTML, then anything else, none of them empty. */
export function checkContent(payload: JsonObject, problems: Problems): Mail['content'] {
  const given = payload.content;
  if (!Array.isArray(given) || given.length === 0) {
    problems.add(
      'content',
      'Unless a valid template_id is provided, the content parameter is required. There must be at least one defined content block. We typically suggest both text/plain and text/html blocks are included, but only one block is required.',
      'message.content',
    );
    return [];
  }
  const content = given.map((item: unknown, index) => {
    const { type, value } = isRecord(item) ? item : {};
    if (typeof type !== 'string' || !type.includes('/') || /[\r\n;,]/.test(type)) {
      problems.add(
        `content.${index}.type`,
        'The content type must be a valid MIME type without semicolons or line ends.',
        'message.content.type',
      );
    }
    if (typeof value !== 'string' || value.length === 0) {
      problems.add(
        `content.${index}.value`,
        'The content value must be a string at least one character in length.',
        'message.content.value',
      );
    }
    return {
      type: typeof type === 'string' ? type.toLowerCase() : '',
      value: typeof value === 'string' ? value : '',
    };
  });
  checkContentOrder(content, problems);
  return content;
}

function checkContentOrder(content: Mail['content'], problems: Problems): void {
  const types = content.map(({ type }) => type);
  const plain = types.filter((type) => type === 'text/plain');
  const html = types.filter((type) => type === 'text/html');
  if (plain.length > 1 || html.length > 1) {
    problems.add('content', 'If present, text/plain and text/html may only be provided once.');
    return;
  }
  const expected = [
    ...plain,
    ...html,
    ...types.filter((type) => type !== 'text/plain' && type !== 'text/html'),
  ];
  if (expected.some((type, index) => type !== types[index])) {
    problems.add(
      'content',
      'If present, text/plain must be first, followed by text/html, followed by any other content.',
      'message.content',
    );
  }
}

/** Checks attachments; their bytes are kept as they came. */
export function checkAttachments(attachments: unknown, problems: Problems): Mail['attachments'] {
  if (attachments === undefined) {
    return [];
  }
  if (!Array.isArray(attachments)) {
    problems.add('attachments', 'The attachments must be an array.', 'message.attachments');
    return [];
  }
  return attachments.map((item: unknown, index) => {
    const { content, filename, type } = isRecord(item) ? item : {};
    if (typeof content !== 'string' || !/^[A-Za-z0-9+/\r\n]+={0,2}\s*$/.test(content)) {
      problems.add(
        `attachments.${index}.content`,
        'The attachment content must be base64 encoded.',
        'message.attachments.content',
      );
    }
    if (typeof filename !== 'string' || filename === '') {
      problems.add(
        `attachments.${index}.filename`,
        'The attachment filename is required.',
        'message.attachments.filename',
      );
    }
    return {
      filename: typeof filename === 'string' ? filename : '',
      type: typeof type === 'string' ? type : 'application/octet-stream',
      content: typeof content === 'string' ? content : '',
    };
  });
}
