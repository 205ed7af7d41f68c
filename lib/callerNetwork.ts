import { isIP } from 'node:net';

/**
 * The address by which a caller is counted: an IPv4 address as it is, also when it comes mapped into
 * IPv6, and of an IPv6 address the /64, because whoever has one has all 2^64 of its addresses.
 * What is no address, as a proxy may write it, is one caller.
 */
export function callerNetwork(address: string): string {
  const [bare = ''] = address.split('%');
  const mapped = /^::ffff:(\d+\.\d+\.\d+\.\d+)$/i.exec(bare)?.[1];
  const family = isIP(mapped ?? bare);
  if (family !== 6) {
    return family === 4 ? (mapped ?? bare) : 'unknown';
  }
  // As the URL standard writes it: lower case, without leading zeros, digits in place of an IPv4 end.
  const [head = '', tail] = new URL(`http://[${bare}]`).hostname.slice(1, -1).split('::');
  const front = head.split(':').filter((part) => part !== '');
  const back = (tail ?? '').split(':').filter((part) => part !== '');
  const zeros = Array.from({ length: 8 - front.length - back.length }, () => '0');
  return `${[...front, ...zeros, ...back].slice(0, 4).join(':')}::/64`;
}
