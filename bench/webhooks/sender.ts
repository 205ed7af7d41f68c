import { createPrivateKey, sign } from 'node:crypto';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { Agent, request } from 'node:http';
import { setTimeout as wait } from 'node:timers/promises';
import { mixEvents, type MixFacts, type MixOrder } from './mix';

/** What a sender is told: its part of the events, where to, how many at once. */
export interface SenderOrder extends MixOrder {
  urls: string[];
  privateKeyPem: string;
  batch: number;
  connections: number;
  /** Events a second; 0 for as fast as they are answered. */
  rate: number;
}

/** Its posts are signed and in memory. */
export interface SenderReady {
  kind: 'ready';
  events: number;
  distinct: number;
  facts: MixFacts;
}

/** All of them were answered. */
export interface SenderDone {
  kind: 'done';
  posts: number;
  /** Posts that were not answered by 200, and tried again until they were. */
  refused: number;
  latenciesMs: number[];
}

interface SignedPost {
  body: Buffer;
  headers: Record<string, string | number>;
  events: number;
}

async function main(file: string): Promise<void> {
  const order: SenderOrder = JSON.parse(readFileSync(file, 'utf8'));
  const mix = mixEvents(order);
  const posts = signPosts(order, mix.events);
  report({
    kind: 'ready',
    events: mix.events.length,
    distinct: mix.distinct,
    facts: mix.facts,
  });
  await once(process, 'message');
  process.channel?.ref();
  report(await sendAll(order, posts));
  // Stays until it is stopped, so that its CPU can be read.
  await once(process, 'disconnect');
}

function signPosts(order: SenderOrder, events: string[]): SignedPost[] {
  const key = createPrivateKey(order.privateKeyPem);
  const timestamp = String(Math.floor(Date.now() / 1000));
  const posts: SignedPost[] = [];
  for (let from = 0; from < events.length; from += order.batch) {
    const batch = events.slice(from, from + order.batch);
    const body = Buffer.from(`[${batch.join(',\r\n')}]\r\n`);
    const signed = sign('sha256', Buffer.concat([Buffer.from(timestamp), body]), key);
    posts.push({
      body,
      events: batch.length,
      headers: {
        'content-type': 'application/json',
        'content-length': body.length,
        'x-twilio-email-event-webhook-signature': signed.toString('base64'),
        'x-twilio-email-event-webhook-timestamp': timestamp,
      },
    });
  }
  return posts;
}

async function sendAll(order: SenderOrder, posts: SignedPost[]): Promise<SenderDone> {
  const agent = new Agent({ keepAlive: true, maxSockets: order.connections });
  const done: SenderDone = { kind: 'done', posts: posts.length, refused: 0, latenciesMs: [] };
  const startedAt = performance.now();
  let next = 0;
  let sent = 0;
  const lane = async () => {
    for (;;) {
      const index = next;
      const post = posts[index];
      next += 1;
      if (post === undefined) {
        return;
      }
      // The vendor's own pace: each post has its instant, and a late one is not made up for.
      const dueAt = order.rate === 0 ? 0 : startedAt + (sent / order.rate) * 1000;
      sent += post.events;
      const early = dueAt - performance.now();
      if (early > 1) {
        await wait(early);
      }
      for (;;) {
        const postedAt = performance.now();
        const status = await send(agent, order.urls[index % order.urls.length] ?? '', post);
        done.latenciesMs.push(performance.now() - postedAt);
        if (status === 200) {
          break;
        }
        done.refused += 1;
        await wait(100);
      }
    }
  };
  await Promise.all(Array.from({ length: order.connections }, lane));
  agent.destroy();
  return done;
}

function send(agent: Agent, url: string, { body, headers }: SignedPost): Promise<number> {
  return new Promise((resolve) => {
    const posted = request(url, { method: 'POST', agent, headers }, (answer) => {
      answer.resume();
      answer.once('end', () => resolve(answer.statusCode ?? 0));
    });
    posted.once('error', () => resolve(0));
    posted.end(body);
  });
}

function report(told: SenderReady | SenderDone): void {
  process.send?.(told);
}

main(process.argv[2] ?? '').catch((error: unknown) => {
  process.stderr.write(`${error instanceof Error ? (error.stack ?? '') : String(error)}\n`);
  process.exit(1);
});
