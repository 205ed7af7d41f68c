import { isPublicAddress, publicAddresses } from '../../lib/publicHosts';

test.each(['8.8.8.8', '1.1.1.1', '172.32.0.1', '100.128.0.1', '2001:4860:4860::8888', '2a00::1'])(
  '%s is public',
  (address) => {
    expect(isPublicAddress(address)).toBe(true);
  },
);

test.each([
  '0.0.0.0',
  '10.1.2.3',
  '100.64.0.1',
  '127.0.0.1',
  '127.255.255.254',
  '169.254.169.254',
  '172.16.0.1',
  '172.31.255.255',
  '192.168.1.1',
  '198.18.0.1',
  '224.0.0.1',
  '255.255.255.255',
  '::',
  '::1',
  '::127.0.0.1',
  '::ffff:127.0.0.1',
  '::ffff:a00:1',
  '::ffff:0:a00:1',
  '5f00::1',
  '4000::1',
  '64:ff9b::a00:1',
  '2002:7f00:1::',
  'fd00::1',
  'fe80::1',
  'ff02::1',
  'not an address',
])('%s is not', (address) => {
  expect(isPublicAddress(address)).toBe(false);
});

const nobody = () => Promise.reject(new Error('must not be asked'));

test.each([
  'localhost',
  'mail.localhost',
  'postgres',
  'mail.internal',
  'printer.local',
  '127.1',
  '0x7f.1',
  '2130706433',
  '0x7f000001',
  '017700000001',
  '10.0.0.1',
  '::1',
])('%s may not be called, and its name is not even looked up', async (host) => {
  expect(await publicAddresses(host, nobody)).toEqual({ problem: 'notPublic' });
});

const [publicIpv4, publicIpv6] = ['93.184.216.34', '2606:2800:220:1::'];

test.each<[string, string[], object]>([
  ['only public addresses', [publicIpv4, publicIpv6], { addresses: [publicIpv4, publicIpv6] }],
  ['a private address', ['10.0.0.5'], { problem: 'notPublic' }],
  ['a public and a private address', [publicIpv4, '::1'], { problem: 'notPublic' }],
  ['no address', [], { problem: 'unknown' }],
])('a name with %s', async (_, addresses, expected) => {
  expect(await publicAddresses('smtp.example.com', async () => addresses)).toEqual(expected);
});

test('an address is taken as it is', async () => {
  expect(await publicAddresses(publicIpv4, nobody)).toEqual({ addresses: [publicIpv4] });
});
