/**
 * The network of an address as a socket tells it: `v4` and `v6` are the lengths of the prefixes, of whole bytes and whole groups.
 * IPv4 that came over a socket of IPv6 (`::ffff:192.0.2.1`) is IPv4; what is no address is itself.
 */
export function networkOf(address: string, { v4, v6 }: { v4: 24 | 32; v6: 48 | 64 }): string {
  const plain = address.replace(/^::ffff:(?=\d+\.)/i, '');
  if (/^\d+\.\d+\.\d+\.\d+$/.test(plain)) return v4 === 32 ? plain : `${plain.split('.').slice(0, 3).join('.')}.0/24`;
  return plain.includes(':')
    ? `${groupsOf(plain)
        .slice(0, v6 / 16)
        .join(':')}::/${v6}`
    : plain;
}

/** The groups of an IPv6 address, with those that `::` leaves out. */
function groupsOf(address: string): string[] {
  const [head = '', tail] = address.split('::');
  const left = head === '' ? [] : head.split(':');
  const right = tail === undefined || tail === '' ? [] : tail.split(':');
  const zeros = tail === undefined ? [] : new Array<string>(Math.max(0, 8 - left.length - right.length)).fill('0');
  return [...left, ...zeros, ...right];
}
