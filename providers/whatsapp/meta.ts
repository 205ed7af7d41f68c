import { parseUrl } from '../../domain/urls';
import { isObject } from '../http/failures';
import type { MetaAccount } from '../meta/account';
import { openGraph } from '../meta/graph';
import { outcomeOfError } from '../meta/outcome';
import { referenceText } from '../reference';
import type { WhatsAppContent, WhatsAppProvider } from './types';

/**
 * WhatsApp by Meta's Cloud API. An account is one number, so a message's sender is not looked at,
 * and statuses go where the app says. There is no look-up: Meta cannot be asked for a message, and
 * only a status with our reference settles a doubt.
 */
export function createMetaWhatsApp(account: MetaAccount): WhatsAppProvider {
  const graph = openGraph(account);
  return {
    accountId: account.accountId,
    async send({ to, content, reference }) {
      try {
        const { status, body } = await graph.post(`${account.phoneNumberId}/messages`, {
          messaging_product: 'whatsapp',
          recipient_type: 'individual',
          to,
          ...contentOf(content),
          biz_opaque_callback_data: referenceText(reference),
        });
        const providerMessageId = messageIdOf(body);
        // A success without an id is the answer of something else on the way.
        return providerMessageId === null
          ? { kind: 'inDoubt', status, reason: 'an answer without a message' }
          : { kind: 'accepted', status, providerMessageId };
      } catch (error) {
        return outcomeOfError(error, Date.now());
      }
    },
    close: () => graph.close(),
  };
}

function contentOf(content: WhatsAppContent): Record<string, unknown> {
  switch (content.kind) {
    case 'text':
      return { type: 'text', text: { body: content.body } };
    case 'template':
      return { type: 'template', template: templateOf(content) };
    case 'media':
      return mediaOf(content);
  }
}

function templateOf({
  id,
  language,
  variables,
}: Extract<WhatsAppContent, { kind: 'template' }>): Record<string, unknown> {
  const names = Object.keys(variables);
  const areNumbers = names.every((name) => /^\d+$/.test(name));
  // Numbered variables are told apart by their place alone, named ones by their name alone.
  const parameters = (areNumbers ? names.toSorted((a, b) => Number(a) - Number(b)) : names).map(
    (name) => ({
      type: 'text',
      ...(areNumbers ? {} : { parameter_name: name }),
      text: variables[name] ?? '',
    }),
  );
  return {
    name: id,
    // The vendor writes `pt_BR` where BCP 47 writes `pt-BR`.
    language: { code: language.replaceAll('-', '_') },
    ...(parameters.length === 0 ? {} : { components: [{ type: 'body', parameters }] }),
  };
}

const mediaKinds: Readonly<Record<string, 'image' | 'video' | 'audio'>> = {
  jpg: 'image',
  jpeg: 'image',
  png: 'image',
  mp4: 'video',
  '3gp': 'video',
  aac: 'audio',
  amr: 'audio',
  m4a: 'audio',
  mp3: 'audio',
  ogg: 'audio',
  opus: 'audio',
};

/** The kind of media is told by the address's ending; what is none of the others is a document. */
function mediaOf({
  url,
  caption,
}: Extract<WhatsAppContent, { kind: 'media' }>): Record<string, unknown> {
  const filename = fileNameOf(url);
  const ending = filename.slice(filename.lastIndexOf('.') + 1).toLowerCase();
  const known = Object.hasOwn(mediaKinds, ending) ? mediaKinds[ending] : undefined;
  // A sound has no caption: as a document it keeps it.
  const kind = known === undefined || (known === 'audio' && caption !== null) ? 'document' : known;
  return {
    type: kind,
    [kind]: {
      link: url,
      ...(caption === null ? {} : { caption }),
      ...(kind === 'document' && filename !== '' ? { filename } : {}),
    },
  };
}

function fileNameOf(url: string): string {
  const path = parseUrl(url)?.pathname ?? url;
  const name = path.slice(path.lastIndexOf('/') + 1);
  try {
    return decodeURIComponent(name);
  } catch {
    return name;
  }
}

function messageIdOf(body: unknown): string | null {
  const messages: unknown = isObject(body) ? body.messages : undefined;
  const [first]: unknown[] = Array.isArray(messages) ? messages : [];
  const id = isObject(first) ? first.id : undefined;
  return typeof id === 'string' && id !== '' ? id : null;
}
