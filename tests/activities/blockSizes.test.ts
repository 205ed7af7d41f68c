import { createBlockSize } from '../../activities/messages/blockSizes';

test('blocks grow where calls take next to no time, and are as before where they do not', () => {
  const size = createBlockSize(128);
  expect(size.now()).toBe(64);
  size.took(64, 150);
  expect(size.now()).toBe(64);
  size.took(64, 40);
  expect(size.now()).toBe(128);
  size.took(128, 150);
  expect(size.now()).toBe(128);
  size.took(128, 400);
  expect(size.now()).toBe(64);
});

test('a few quick calls say nothing of many', () => {
  const size = createBlockSize(128);
  size.took(3, 1);
  expect(size.now()).toBe(64);
});
