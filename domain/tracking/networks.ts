/**
 * What a network tells of a request that comes from it. `scanner`: mail security, no person is behind
 * it. `mailHost`: programs of a mail host that look behind links, but that also load images for people.
 * `ownMachine`: the loopback interface, where nothing scans mail.
 */
export type NetworkUse = 'scanner' | 'mailHost' | 'ownMachine';

// The ranges that these companies tell their customers to let through, and 40.94.0.0/16, from which
// Microsoft opens the links of mail that has arrived.
const networks: readonly { use: NetworkUse; owner: string; ranges: readonly string[] }[] = [
  { use: 'ownMachine', owner: 'loopback', ranges: ['127.0.0.0/8'] },
  {
    use: 'scanner',
    owner: 'Barracuda',
    ranges: ['64.235.144.0/20', '209.222.80.0/21'],
  },
  {
    use: 'scanner',
    owner: 'Proofpoint',
    ranges: ['67.231.144.0/20', '148.163.128.0/19', '205.220.160.0/19'],
  },
  {
    use: 'scanner',
    owner: 'Mimecast',
    ranges: [
      '205.139.110.0/23',
      '207.211.30.0/24',
      '207.211.31.0/25',
      '63.128.21.0/24',
      '216.205.24.0/24',
    ],
  },
  {
    use: 'mailHost',
    owner: 'Microsoft 365',
    ranges: ['40.92.0.0/15', '40.94.0.0/16', '40.107.0.0/16', '52.100.0.0/14', '104.47.0.0/17'],
  },
];

/** What is known of the network an address lies in; null for all others, and for no address. */
export function networkOf(address: string): NetworkUse | null {
  if (address === '::1') {
    return 'ownMachine';
  }
  // An IPv4 address as a socket of both families shows it.
  const number = ipv4Number(address.replace(/^::ffff:/i, ''));
  if (number === null) {
    return null;
  }
  return ranges.find(({ first, last }) => number >= first && number <= last)?.use ?? null;
}

const ranges = networks.flatMap(({ use, ranges }) =>
  ranges.map((range) => ({ use, ...boundsOf(range) })),
);

function boundsOf(range: string): { first: number; last: number } {
  const [base = '', bits = ''] = range.split('/');
  const first = ipv4Number(base);
  if (first === null) {
    throw new RangeError(`not an IPv4 range: ${range}`);
  }
  return { first, last: first + 2 ** (32 - Number(bits)) - 1 };
}

function ipv4Number(address: string): number | null {
  if (!/^\d{1,3}(\.\d{1,3}){3}$/.test(address)) {
    return null;
  }
  const parts = address.split('.').map(Number);
  return parts.every((part) => part <= 255)
    ? parts.reduce((number, part) => number * 256 + part, 0)
    : null;
}
