/** What an author writes: Liquid templates for the parts of one email. */
export interface Content {
  subject: string;
  /** The line a mailbox shows beside the subject; hidden in the opened message. */
  preheader?: string | undefined;
  html: string;
  /** Derived from the HTML when not given or blank. */
  text?: string | undefined;
}

/** One thing an author has to correct. Lines and columns count from 1. */
export interface ContentProblem {
  /** The part of the content it lies in: `html`, `body`, `variables.1`. */
  field: string;
  line: number;
  column: number;
  message: string;
}

/** The content cannot be sent to anyone as it is; `problems` has the first one of every part. */
export class ContentError extends Error {
  readonly problems: readonly ContentProblem[];

  constructor(problems: readonly ContentProblem[]) {
    super(
      problems
        .map(({ field, line, column, message }) => `${field} ${line}:${column}: ${message}`)
        .join('; '),
    );
    this.name = 'ContentError';
    this.problems = problems;
  }
}

/** One customer as a message is rendered for them. */
export interface Recipient {
  /** The message's number within its run. */
  n: number;
  email: string | null;
  firstName: string | null;
  lastName: string | null;
  phone: string | null;
  language: string | null;
  timeZone: string | null;
  externalId: string | null;
  tags: readonly string[];
  attributes: Readonly<Record<string, unknown>>;
  /** `click` gets "/" and the link's index appended; the others are used as they are. */
  links: { click: string; open: string; unsubscribe: string };
  /** Every text of the customer is known to be plain (`isPlainText`). */
  isPlain?: boolean;
}

/** One message, ready to be read. */
export interface RenderedMessage {
  subject: string;
  html: string;
  text: string;
}

/** This one recipient's message cannot be rendered. The message may quote the customer's data. */
export class RenderFailure extends Error {
  constructor(message: string, options?: { cause?: unknown }) {
    super(message, options);
    this.name = 'RenderFailure';
  }
}
