import { everyQueue, parseQueues } from '../../workers/queueChoice';

test('a worker serves all queues unless it is told which', () => {
  expect(parseQueues([])).toEqual(everyQueue);
  expect(everyQueue).toContain('transactional');
  expect(parseQueues(['--queues=transactional'])).toEqual(['transactional']);
  expect(parseQueues(['--queues=email, records,email'])).toEqual(['email', 'records']);
});

test.each(['--queues=', '--queues=mail', '--queues=email,', '--queue=email'])(
  'refuses %s with what there is',
  (flag) => {
    expect(() => parseQueues([flag])).toThrow(/queue/);
  },
);
