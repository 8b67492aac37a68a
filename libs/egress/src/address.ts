import { isIPv4, isIPv6 } from 'node:net';

/**
 * What an IP address is, by the IANA special-purpose registries (RFC 6890) and the published metadata addresses of
 * the clouds. Only `public` may be reached without being on the operator's list.
 */
export type AddressClass =
  | 'public'
  | 'loopback'
  | 'private'
  | 'shared'
  | 'link-local'
  | 'unique-local'
  | 'metadata'
  | 'multicast'
  | 'transition'
  | 'documentation'
  | 'reserved'
  | 'unspecified'
  | 'malformed';

type Block = { network: bigint; prefix: number; class: AddressClass };

const bitsV4 = 32;
const bitsV6 = 128;

function numberOfV4(text: string): bigint {
  return text.split('.').reduce((sum, part) => (sum << 8n) | BigInt(Number(part)), 0n);
}

function numberOfV6(text: string): bigint {
  // A dotted tail (RFC 4291 2.2.3) counts as two groups.
  const dotted = /^(.*:)(\d+\.\d+\.\d+\.\d+)$/.exec(text);
  if (dotted) {
    const tail = numberOfV4(dotted[2] ?? '');
    return numberOfV6(`${dotted[1] ?? ''}${(tail >> 16n).toString(16)}:${(tail & 0xffffn).toString(16)}`);
  }
  const [head = '', tail] = text.split('::');
  const groups = (part: string) => (part === '' ? [] : part.split(':'));
  const before = groups(head);
  const after = groups(tail ?? '');
  const gap = Array<string>(8 - before.length - after.length).fill('0');
  return [...before, ...gap, ...after].reduce((sum, group) => (sum << 16n) | BigInt(`0x${group}`), 0n);
}

function block(cidr: string, addressClass: AddressClass): Block {
  const [address = '', prefix = ''] = cidr.split('/');
  const network = isIPv4(address) ? numberOfV4(address) : numberOfV6(address);
  return { network, prefix: Number(prefix), class: addressClass };
}

// The first block that matches decides, so single addresses stand before the blocks they lie in.
const blocksV4: Block[] = [
  block('169.254.169.254/32', 'metadata'), // AWS, Google, Azure, Oracle, OpenStack
  block('169.254.170.2/32', 'metadata'), // ECS task credentials
  block('169.254.170.23/32', 'metadata'), // EKS pod identity
  block('100.100.100.200/32', 'metadata'), // Alibaba
  block('168.63.129.16/32', 'metadata'), // Azure's host agent, in public space
  block('192.0.0.192/32', 'metadata'), // Oracle, older instances
  block('0.0.0.0/8', 'unspecified'),
  block('10.0.0.0/8', 'private'),
  block('100.64.0.0/10', 'shared'), // carrier-grade NAT, RFC 6598
  block('127.0.0.0/8', 'loopback'),
  block('169.254.0.0/16', 'link-local'),
  block('172.16.0.0/12', 'private'),
  block('192.0.0.0/24', 'reserved'),
  block('192.0.2.0/24', 'documentation'),
  block('192.88.99.0/24', 'transition'), // 6to4 relay anycast, RFC 7526
  block('192.168.0.0/16', 'private'),
  block('198.18.0.0/15', 'reserved'), // benchmarking, RFC 2544
  block('198.51.100.0/24', 'documentation'),
  block('203.0.113.0/24', 'documentation'),
  block('224.0.0.0/4', 'multicast'),
  block('240.0.0.0/4', 'reserved'), // and 255.255.255.255
];

const blocksV6: Block[] = [
  block('::/128', 'unspecified'),
  block('::1/128', 'loopback'),
  block('fd00:ec2::254/128', 'metadata'), // AWS
  block('fd00:ec2::23/128', 'metadata'), // EKS pod identity
  block('fd20:ce::254/128', 'metadata'), // Google
  block('2001::/32', 'transition'), // Teredo: hides an IPv4 endpoint
  block('2001::/23', 'reserved'),
  block('2001:db8::/32', 'documentation'),
  block('2002::/16', 'transition'), // 6to4: hides an IPv4 endpoint
  block('3fff::/20', 'documentation'),
  block('2000::/3', 'public'),
  block('64:ff9b:1::/48', 'transition'), // a site's own NAT64 (RFC 8215): what it maps to is unknown here
  block('fc00::/7', 'unique-local'),
  block('fe80::/10', 'link-local'),
  block('fec0::/10', 'private'), // site-local, deprecated
  block('ff00::/8', 'multicast'),
];

// Blocks whose low 32 bits are the IPv4 address that is really reached.
const carriersOfV4 = [block('::ffff:0:0/96', 'reserved'), block('64:ff9b::/96', 'reserved')];

function within(address: bigint, bits: number, { network, prefix }: Block): boolean {
  const rest = BigInt(bits - prefix);
  return address >> rest === network >> rest;
}

const classOfV4 = (address: bigint): AddressClass =>
  blocksV4.find((candidate) => within(address, bitsV4, candidate))?.class ?? 'public';

function classOfV6(address: bigint): AddressClass {
  if (carriersOfV4.some((carrier) => within(address, bitsV6, carrier))) return classOfV4(address & 0xffffffffn);
  return blocksV6.find((candidate) => within(address, bitsV6, candidate))?.class ?? 'reserved';
}

/**
 * Classifies a textual IP address as `dns.lookup` and `URL` give it: dotted IPv4, or IPv6 without brackets. IPv4
 * mapped into IPv6 and the well-known NAT64 prefix (RFC 6052) take the class of the IPv4 address inside. An address
 * with a zone, or anything that is no address, is `malformed`.
 */
export function classifyAddress(address: string): AddressClass {
  if (isIPv4(address)) return classOfV4(numberOfV4(address));
  if (isIPv6(address) && !address.includes('%')) return classOfV6(numberOfV6(address));
  return 'malformed';
}
