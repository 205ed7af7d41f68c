import { setImmediate as otherEvents } from 'node:timers/promises';
import type { LinkDeps } from '../../activities/messages/recipient';
import { type RenderedMail, startRendering } from '../../activities/messages/renderMail';
import type { RunMail } from '../../activities/messages/runContent';
import { compileContent } from '../../domain/messages/compileContent';
import type { Recipient } from '../../models/messages/recipients';
import type { EmailDraft, EmailRecipient } from '../../providers/email/types';

const signal = new AbortController().signal;

test('renders for everyone who has an address, with the same tokens for all', async () => {
  const { deps, added } = collect();
  const { compiled, mail } = mailOf('<p>Hi {{ customer.firstName }}</p>');
  const loaded = [...recipients(1_000), { ...recipient(1_001), email: null }];
  const rendered = await renderMail(deps, { mail, runId: 'r', loaded, signal });
  expect(rendered.messageNs).toEqual(recipients(1_000).map(({ n }) => n));
  expect(added.map(({ messageN }) => messageN)).toEqual(rendered.messageNs);
  const tokens = new Set(added.flatMap((one) => Object.keys(JSON.parse(one.substitutionsJson))));
  expect(tokens.size).toBe(compiled.slots);
  for (const token of tokens) {
    expect(rendered.message.html + rendered.message.text).toContain(token);
  }
});

test('lets other work go on between a few recipients of the dearest mail', async () => {
  const { deps } = collect();
  const { mail } = mailOf(
    '{% for i in (1..1000) %}{% for j in (1..1000) %}{% endfor %}{% endfor %}',
  );
  const loaded = recipients(100);
  let isDone = false;
  const rendering = renderMail(deps, { mail, runId: 'r', loaded, signal }).finally(() => {
    isDone = true;
  });
  const plain = mailOf('<p>Hi</p>').mail;
  await renderMail(deps, { mail: plain, runId: 'p', loaded: recipients(10), signal });
  expect(isDone).toBe(false);
  let turns = 0;
  while (!isDone) {
    await otherEvents();
    turns += 1;
  }
  expect(turns).toBeGreaterThan(5);
  expect((await rendering).failed).toEqual(loaded.map(({ n }) => n));
});

test('stops when it is asked to', async () => {
  const { deps } = collect();
  const { mail } = mailOf(
    '{% for i in (1..1000) %}{% for j in (1..1000) %}{% endfor %}{% endfor %}',
  );
  const stopping = new AbortController();
  const options = { mail, runId: 'r', loaded: recipients(100), signal: stopping.signal };
  const rendering = renderMail(deps, options);
  stopping.abort();
  expect((await rendering).failed.length).toBeLessThan(100);
});

function renderMail(
  { draft, ...deps }: LinkDeps & { draft: EmailDraft },
  options: { mail: RunMail; runId: string; loaded: Recipient[]; signal: AbortSignal },
): Promise<RenderedMail> {
  const rendering = startRendering(deps, { ...options, draft });
  for (const one of options.loaded) {
    rendering.add(one);
  }
  return rendering.finish({ addresses: 0 }, options.signal);
}

function mailOf(html: string) {
  const compiled = compileContent({ subject: 'Hi', html }, { campaignName: 'c', tenantName: 't' });
  const mail = {
    channel: 'email' as const,
    accountId: 'a',
    from: { email: 'shop@example.com', name: null },
    replyTo: null,
    compiled,
    fields: new Set<never>(),
    attributes: null,
  };
  return { compiled, mail };
}

function collect(): { deps: LinkDeps & { draft: EmailDraft }; added: EmailRecipient[] } {
  const added: EmailRecipient[] = [];
  const send = () => Promise.reject(new Error('nothing is sent here'));
  return {
    added,
    deps: {
      draft: { add: (one) => void added.push(one), send },
      trackingTokens: { token: ({ messageN }) => `t${messageN}` },
      publicUrl: 'https://t.example',
    },
  };
}

function recipients(count: number): Recipient[] {
  return Array.from({ length: count }, (_, index) => recipient(index + 1));
}

function recipient(n: number): Recipient {
  return {
    n,
    email: `c${n}@shop.example`,
    addressHash: n,
    phone: null,
    firstName: `Ana ${n}`,
    lastName: null,
    language: null,
    timeZone: null,
    externalId: null,
    tags: [],
    attributes: {},
    isPlain: false,
  };
}
