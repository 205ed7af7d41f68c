import type { Intake } from '../intake';
import type { JournaledRequest } from '../journal';
import type { Reply } from '../sendingEndpoint';
import { readAccepted, resourceOf, sentAt, VENDOR, type AcceptedMessage } from './acceptedMessage';
import { refusal } from './errors';

const DEFAULT_PAGE_SIZE = 50;
const MAX_PAGE_SIZE = 1_000;

/** GET …/Messages/{Sid}.json */
export async function readMessage(intake: Intake, accountSid: string, sid: string): Promise<Reply> {
  const request = intake.mailbox.requestOfId(sid);
  const message = request?.vendor === VENDOR ? await acceptedOf(intake, request) : null;
  return message?.accountSid === accountSid
    ? { status: 200, body: resourceOf(message, Date.now()) }
    : refusal(20404);
}

/** GET …/Messages.json: newest first, in pages, filtered by To, From and DateSent. */
export async function listMessages(
  intake: Intake,
  accountSid: string,
  query: URLSearchParams,
): Promise<Reply> {
  const filter = readFilter(query);
  if (filter === null) {
    return refusal(20001);
  }
  const { pageSize, token } = filter;
  const now = Date.now();
  const page: AcceptedMessage[] = [];
  let passed = token === null;
  let more = false;
  for (const request of candidates(intake, filter.to)) {
    if (!passed) {
      passed = request.messageId === token;
      continue;
    }
    const message = await acceptedOf(intake, request);
    if (message.accountSid === accountSid && filter.accepts(message, now)) {
      if (page.length === pageSize) {
        more = true;
        break;
      }
      page.push(message);
    }
  }
  return { status: 200, body: pageOf(page, { accountSid, query, filter, more, now }) };
}

interface Filter {
  to: string | null;
  pageSize: number;
  page: number;
  /** The last message of the page before. */
  token: string | null;
  accepts(message: AcceptedMessage, now: number): boolean;
}

function readFilter(query: URLSearchParams): Filter | null {
  const size = Number(query.get('PageSize') ?? DEFAULT_PAGE_SIZE);
  const page = Number(query.get('Page') ?? 0);
  const days = dateTests(query);
  if (!Number.isInteger(size) || size < 1 || !Number.isInteger(page) || page < 0 || days === null) {
    return null;
  }
  const [to, from] = [query.get('To'), query.get('From')];
  return {
    to,
    page,
    pageSize: Math.min(size, MAX_PAGE_SIZE),
    token: /^PA(\w+)$/.exec(query.get('PageToken') ?? '')?.[1] ?? null,
    accepts(message, now) {
      const sent = days.length === 0 ? null : sentAt(message, now);
      return (
        (to === null || message.form.to === to) &&
        (from === null || message.form.from === from) &&
        // What has not left has no such date, and is not found by it.
        (days.length === 0 || (sent !== null && days.every((test) => test(Date.parse(sent)))))
      );
    },
  };
}

type DateTest = (sentMs: number) => boolean;

const DAY_MS = 86_400_000;

/** `DateSent=`, `DateSent<=`, `DateSent>=`: a day, or an instant; null when one is neither. */
function dateTests(query: URLSearchParams): DateTest[] | null {
  const tests: DateTest[] = [];
  for (const [name, relation] of [
    ['DateSent', '='],
    ['DateSent<', '<'],
    ['DateSent>', '>'],
  ] as const) {
    const text = query.get(name);
    if (text === null) {
      continue;
    }
    const isDay = /^\d{4}-\d\d-\d\d$/.test(text);
    const from = Date.parse(text);
    if (Number.isNaN(from)) {
      return null;
    }
    const until = isDay ? from + DAY_MS - 1 : from;
    tests.push(
      relation === '='
        ? (sent) => (isDay ? sent >= from && sent <= until : sent === from)
        : relation === '<'
          ? (sent) => sent <= until
          : (sent) => sent >= from,
    );
  }
  return tests;
}

function candidates(intake: Intake, to: string | null): JournaledRequest[] {
  const found =
    to === null
      ? intake.mailbox.allRequests().toReversed()
      : intake.mailbox
          .find({ to }, { page: 1, perPage: Number.MAX_SAFE_INTEGER })
          .items.map(({ id }) => intake.mailbox.requestOfId(id.slice(0, id.lastIndexOf('.'))));
  return found
    .filter((request) => request?.vendor === VENDOR)
    .filter((request) => request !== null);
}

async function acceptedOf(intake: Intake, request: JournaledRequest): Promise<AcceptedMessage> {
  return readAccepted(request, await intake.bodyOf(request));
}

function pageOf(
  messages: AcceptedMessage[],
  about: { accountSid: string; query: URLSearchParams; filter: Filter; more: boolean; now: number },
): Record<string, unknown> {
  const { accountSid, query, filter, more, now } = about;
  const addressOf = (changes: Record<string, string>) => {
    const wanted = new URLSearchParams(query);
    wanted.delete('Page');
    wanted.delete('PageToken');
    for (const [name, value] of Object.entries({ PageSize: String(filter.pageSize), ...changes })) {
      wanted.set(name, value);
    }
    return `/2010-04-01/Accounts/${accountSid}/Messages.json?${wanted.toString()}`;
  };
  const start = filter.page * filter.pageSize;
  const last = messages.at(-1);
  return {
    messages: messages.map((message) => resourceOf(message, now)),
    page: filter.page,
    page_size: filter.pageSize,
    start,
    end: start + Math.max(messages.length - 1, 0),
    uri: addressOf({ Page: String(filter.page) }),
    first_page_uri: addressOf({ Page: '0' }),
    previous_page_uri: null,
    next_page_uri:
      more && last
        ? addressOf({ Page: String(filter.page + 1), PageToken: `PA${last.sid}` })
        : null,
  };
}
