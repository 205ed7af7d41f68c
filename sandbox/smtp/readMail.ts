import { simpleParser, type AddressObject, type ParsedMail } from 'mailparser';
import { z } from 'zod';

const Address = z.object({ email: z.string(), name: z.string().nullable() });

/** A mail as it was handed over, and what a mail program makes of it. */
export const ReceivedMail = z.object({
  sender: z.string(),
  recipients: z.array(z.string()),
  from: Address,
  to: z.array(Address),
  cc: z.array(Address),
  replyTo: Address.nullable(),
  subject: z.string(),
  html: z.string().nullable(),
  text: z.string().nullable(),
  headers: z.record(z.string(), z.string()),
  attachments: z.array(z.object({ filename: z.string(), type: z.string(), bytes: z.number() })),
  /** One character a byte. */
  source: z.string(),
});
export type ReceivedMail = z.infer<typeof ReceivedMail>;

/** Reads a mail as its recipient's program would. */
export async function readMail(
  envelope: { sender: string; recipients: string[] },
  source: Buffer,
): Promise<ReceivedMail> {
  const parsed = await simpleParser(source, {
    skipHtmlToText: true,
    skipTextToHtml: true,
    skipTextLinks: true,
    skipImageLinks: true,
  });
  return {
    ...envelope,
    from: addressesIn(parsed.from)[0] ?? { email: envelope.sender, name: null },
    to: addressesIn(parsed.to),
    cc: addressesIn(parsed.cc),
    replyTo: addressesIn(parsed.replyTo)[0] ?? null,
    subject: parsed.subject ?? '',
    html: parsed.html === false ? null : parsed.html,
    text: parsed.text === undefined || parsed.text === '' ? null : parsed.text,
    headers: headersOf(parsed),
    attachments: parsed.attachments.map(({ filename, contentType, size }) => ({
      filename: filename ?? 'unnamed',
      type: contentType,
      bytes: size,
    })),
    source: source.toString('latin1'),
  };
}

function addressesIn(header: AddressObject | AddressObject[] | undefined) {
  return [header ?? []]
    .flat()
    .flatMap(({ value }) => value)
    .map(({ address, name }) => ({ email: address ?? '', name: name === '' ? null : name }));
}

function headersOf({ headerLines }: ParsedMail): Record<string, string> {
  return Object.fromEntries(
    headerLines.map(({ line }) => {
      const colon = line.indexOf(':');
      return [
        line.slice(0, colon),
        line
          .slice(colon + 1)
          .replace(/\r?\n(?=\s)/g, '')
          .trim(),
      ];
    }),
  );
}
