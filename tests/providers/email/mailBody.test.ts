import { MailBody, SpareBodies } from '../../../providers/email/mailBody';

function written(
  messageNs: number[],
  without: number[],
  { usualLength = 4_096, spare = new SpareBodies() } = {},
) {
  const body = new MailBody(usualLength, spare);
  for (const n of messageNs) {
    body.add(n, JSON.stringify({ n, name: `Zoë ${n} 🔔`.repeat(n) }));
  }
  const { bytes, messageNs: kept, memory } = body.finish(',"subject":"Hi"}', new Set(without));
  const request = JSON.parse(bytes.toString('utf8'));
  spare.giveBack(memory);
  return { request, kept };
}

function expected(messageNs: number[]) {
  return {
    personalizations: messageNs.map((n) => ({ n, name: `Zoë ${n} 🔔`.repeat(n) })),
    subject: 'Hi',
  };
}

test.each([
  { name: 'everyone', all: [1, 2, 3], without: [] },
  { name: 'all but the first', all: [1, 2, 3], without: [1] },
  { name: 'all but one in the middle', all: [1, 2, 3], without: [2] },
  { name: 'all but the last', all: [1, 2, 3], without: [3] },
  { name: 'one alone', all: [1, 2, 3], without: [1, 3] },
  { name: 'nobody', all: [1, 2], without: [1, 2] },
  { name: 'nobody was added', all: [], without: [7] },
])('writes a request to $name', ({ all, without }) => {
  const kept = all.filter((n) => !without.includes(n));
  expect(written(all, without)).toEqual({ request: expected(kept), kept });
});

test('grows past the usual length without losing a byte', () => {
  const all = Array.from({ length: 300 }, (_, i) => i + 1);
  expect(written(all, [150], { usualLength: 0 }).request).toEqual(
    expected(all.filter((n) => n !== 150)),
  );
});

test('writes a request into the memory of a longer one, and a longer one into that of a shorter', () => {
  const spare = new SpareBodies();
  const many = Array.from({ length: 100 }, (_, i) => i + 1);
  for (const all of [many, [1, 2], many, [3], [1, 2, 3]]) {
    expect(written(all, [], { spare }).request).toEqual(expected(all));
  }
});
