import type { Recipient } from '../../domain/messages/content';
import type { Recipient as LedgerRecipient } from '../../models/messages/recipients';
import type { ActivityDeps } from '../deps';

/** The parts of the process that a recipient's links need. */
export type LinkDeps = Pick<ActivityDeps, 'trackingTokens' | 'publicUrl'>;

/** What everybody's links begin with; a recipient's token ends them. */
export function linkStarts({ publicUrl }: Pick<LinkDeps, 'publicUrl'>): Recipient['links'] {
  return {
    click: `${publicUrl}/t/c/`,
    open: `${publicUrl}/t/o/`,
    unsubscribe: `${publicUrl}/t/u/`,
  };
}

/** Where one recipient clicks, opens and unsubscribes. */
export function linksOf(deps: LinkDeps, runId: string, messageN: number): Recipient['links'] {
  return linksTo(linkStarts(deps), deps.trackingTokens.token({ runId, messageN }));
}

export function linksTo(starts: Recipient['links'], token: string): Recipient['links'] {
  return {
    click: starts.click + token,
    open: starts.open + token,
    unsubscribe: starts.unsubscribe + token,
  };
}

export type Addressed = Recipient & { email: string };

/**
 * A customer as mail is rendered for them. Spelled out: a spread of as many properties costs as much
 * as rendering them.
 */
export function addressed(
  one: LedgerRecipient,
  email: string,
  links: Recipient['links'],
): Addressed {
  return {
    n: one.n,
    email,
    firstName: one.firstName,
    lastName: one.lastName,
    phone: one.phone,
    language: one.language,
    timeZone: one.timeZone,
    externalId: one.externalId,
    tags: one.tags,
    attributes: one.attributes,
    links,
    isPlain: one.isPlain,
  };
}

/** What a mailbox shows of whom a mail is to. */
export function nameOf({ firstName, lastName }: Recipient): string | null {
  const name =
    firstName !== null && lastName !== null ? `${firstName} ${lastName}` : (firstName ?? lastName);
  return name === '' ? null : name;
}
