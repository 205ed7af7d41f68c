import { networkOf } from '../../../domain/tracking/networks';

test.each([
  ['127.0.0.1', 'ownMachine'],
  ['::1', 'ownMachine'],
  ['::ffff:127.0.0.1', 'ownMachine'],
  ['64.235.144.0', 'scanner'],
  ['64.235.159.255', 'scanner'],
  ['64.235.160.0', null],
  ['::ffff:148.163.130.9', 'scanner'],
  ['205.139.111.7', 'scanner'],
  ['40.94.12.1', 'mailHost'],
  ['52.103.255.255', 'mailHost'],
  ['52.104.0.0', null],
  ['198.51.100.7', null],
  ['2001:db8::1', null],
  ['256.1.1.1', null],
  ['', null],
])('%s lies in %s', (address, use) => {
  expect(networkOf(address)).toBe(use);
});
