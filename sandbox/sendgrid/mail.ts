export interface MailAddress {
  email: string;
  name: string | null;
}

/** One envelope of a request: who gets it, and what is particular to them. */
export interface Personalization {
  to: MailAddress[];
  cc: MailAddress[];
  bcc: MailAddress[];
  from: MailAddress | null;
  subject: string | null;
  headers: Record<string, string>;
  substitutions: Record<string, string>;
  customArgs: Record<string, string>;
}

/** A request to /v3/mail/send that was found in order. */
export interface Mail {
  personalizations: Personalization[];
  from: MailAddress;
  replyTo: MailAddress | null;
  subject: string | null;
  content: { type: string; value: string }[];
  attachments: { filename: string; type: string; content: string }[];
  headers: Record<string, string>;
  customArgs: Record<string, string>;
  categories: string[];
  /** Checked and answered, but delivered to nobody. */
  sandboxMode: boolean;
  tracking: { opens: boolean; clicks: boolean; unsubscribes: boolean };
}

/** A personalization and one of its recipients: what becomes one message. */
export interface Copy {
  recipient: MailAddress;
  personalization: Personalization;
  /** The personalization's place in the request. */
  position: number;
}

/** One copy per recipient, in the order that numbers messages: to, cc, bcc of each personalization. */
export function copiesOf(mail: Mail): Copy[] {
  return mail.personalizations.flatMap((personalization, position) =>
    [...personalization.to, ...personalization.cc, ...personalization.bcc].map((recipient) => ({
      recipient,
      personalization,
      position,
    })),
  );
}

/** Custom arguments of one personalization: its own win over the message's. */
export function customArgsOf(mail: Mail, personalization: Personalization): Record<string, string> {
  return { ...mail.customArgs, ...personalization.customArgs };
}
