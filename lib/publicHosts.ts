import { lookup } from 'node:dns/promises';
import { BlockList, isIP } from 'node:net';

/** Why a host that a tenant names must not be called from here. */
export type HostProblem = 'notPublic' | 'unknown';

export type Resolve = (host: string) => Promise<string[]>;

/**
 * The addresses of a host of the public internet, or why it must not be called: its name, or one of
 * its addresses, leads into our own network. A name may lead elsewhere a moment later, so connect to
 * one of these addresses and not to the name again.
 */
export async function publicAddresses(
  host: string,
  resolve: Resolve = addressesOf,
): Promise<{ addresses: [string, ...string[]] } | { problem: HostProblem }> {
  if (isIP(host) === 0 && isInternalName(host)) {
    return { problem: 'notPublic' };
  }
  const [first, ...others] = isIP(host) === 0 ? await resolve(host) : [host];
  if (first === undefined) {
    return { problem: 'unknown' };
  }
  return [first, ...others].every(isPublicAddress)
    ? { addresses: [first, ...others] }
    : { problem: 'notPublic' };
}

/** Whether the IP address belongs to the public internet, also when an IPv4 one hides in it. */
export function isPublicAddress(address: string): boolean {
  switch (isIP(address)) {
    case 4:
      return !reserved.ipv4.check(address, 'ipv4');
    case 6:
      return !reserved.ipv6.check(address, 'ipv6');
    default:
      return false;
  }
}

// Names without a dot or of a special-use domain (RFC 6761, 6762, 8375) are never public. What ends
// in a number is no name but an address in a form that isIP does not know: 127.1, 0x7f.1, 2130706433.
function isInternalName(host: string): boolean {
  const labels = host.toLowerCase().split('.');
  const last = labels.at(-1) ?? '';
  return (
    labels.length < 2 ||
    /^(\d+|0x[0-9a-f]*)$/.test(last) ||
    ['localhost', 'local', 'internal', 'arpa', 'test', 'invalid', 'onion', 'home', 'lan'].includes(
      last,
    )
  );
}

async function addressesOf(host: string): Promise<string[]> {
  try {
    return (await lookup(host, { all: true, verbatim: true })).map(({ address }) => address);
  } catch {
    return [];
  }
}

// The special-purpose registries of IANA. Ranges of IPv6 that carry an IPv4 address are refused as a
// whole: nobody reaches a mail server by them.
const ranges = {
  ipv4: [
    ['0.0.0.0', 8],
    ['10.0.0.0', 8],
    ['100.64.0.0', 10],
    ['127.0.0.0', 8],
    ['169.254.0.0', 16],
    ['172.16.0.0', 12],
    ['192.0.0.0', 24],
    ['192.0.2.0', 24],
    ['192.88.99.0', 24],
    ['192.168.0.0', 16],
    ['198.18.0.0', 15],
    ['198.51.100.0', 24],
    ['203.0.113.0', 24],
    ['224.0.0.0', 4],
    ['240.0.0.0', 4],
  ],
  ipv6: [
    // All but 2000::/3, from which alone addresses of the public internet are given out.
    ['::', 3],
    ['4000::', 2],
    ['8000::', 1],
    ['2001::', 23],
    ['2001:db8::', 32],
    ['2002::', 16],
    ['3fff::', 20],
  ],
} as const;

// A list each: in a shared one the range of mapped addresses would hold all of IPv4.
const reserved = { ipv4: new BlockList(), ipv6: new BlockList() };
for (const family of ['ipv4', 'ipv6'] as const) {
  for (const [network, prefix] of ranges[family]) {
    reserved[family].addSubnet(network, prefix, family);
  }
}
