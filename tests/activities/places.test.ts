import { createPlaces } from '../../activities/transactional/places';

const messages = (count: number, tenantId: string, accountId: string | null = 'shared') =>
  Array.from({ length: count }, () => ({ tenantId, accountId }));

test('a tenant or an account that holds its part is full, and the others are not', () => {
  const places = createPlaces(() => undefined);
  places.take(messages(24, 'a'));
  expect(places.full()).toEqual({ accountIds: [], tenantIds: [] });
  places.take(messages(1, 'a'));
  places.take(messages(24, 'b'));
  expect(places.full()).toEqual({ accountIds: [], tenantIds: ['a'] });
  places.take(messages(1, 'c'));
  expect(places.full()).toEqual({ accountIds: ['shared'], tenantIds: ['a'] });
  places.take(messages(20, 'd', 'own'));
  expect(places.full().accountIds).toEqual(['shared']);
});

test('a lane has a hundred places, and gives each back once', () => {
  let told = 0;
  const places = createPlaces(() => {
    told += 1;
  });
  const held = messages(90, 'a', null);
  places.take(held);
  expect(places.free()).toBe(10);
  places.take(messages(10, 'b'));
  expect(places.free()).toBe(0);
  for (const message of [...held.slice(0, 80), ...held.slice(0, 80)]) {
    places.leave(message);
  }
  expect([places.free(), told, places.full().tenantIds]).toEqual([25, 80, []]);
});
