import { type AddressClass, classifyAddress } from './address.ts';
import { EgressRefused } from './refused.ts';

/** What the operator allows; everything else is refused. */
export type EgressRules = {
  /** `host` (port 443) or `host:port`, IPv6 in brackets. A listed host may have an address inside the network. */
  allow: readonly string[];
  /** Whether hosts off the list may be reached at public addresses. */
  publicAddresses: boolean;
};

/** One place to connect to, in the URL parser's canonical spelling; `hostname` of IPv6 is without brackets. */
export type Destination = { hostname: string; port: number; listed: boolean };

// No list opens these: they serve the machine's own credentials, or are no host at all.
const neverReached: ReadonlySet<AddressClass> = new Set([
  'metadata',
  'link-local',
  'multicast',
  'unspecified',
  'malformed',
]);

const withoutBrackets = (hostname: string): string => hostname.replace(/^\[(.*)\]$/, '$1');

function canonicalEntry(entry: string): string {
  const url = URL.parse(`https://${entry}`);
  const plain = url !== null && url.pathname === '/' && !url.search && !url.hash && !url.username && !url.password;
  if (!plain || /[/?#@]/.test(entry)) throw new TypeError(`not a host or host:port: ${entry}`);
  return url.host;
}

/**
 * Reads the operator's list once.
 * @throws TypeError for an entry that is not `host` or `host:port`.
 */
export function parseRules({ allow, publicAddresses }: EgressRules) {
  const listed = new Set(allow.map(canonicalEntry));
  return {
    /**
     * The destination of a URL.
     * @throws EgressRefused `malformed_url`, `not_https`, `credentials_in_url`, `host_not_listed`.
     */
    destination(target: string | URL): Destination {
      const url = typeof target === 'string' ? URL.parse(target) : target;
      if (!url) throw new EgressRefused('malformed_url');
      if (url.protocol !== 'https:') throw new EgressRefused('not_https');
      if (url.username || url.password) throw new EgressRefused('credentials_in_url');
      const isListed = listed.has(url.host);
      if (!isListed && !publicAddresses) throw new EgressRefused('host_not_listed');
      return { hostname: withoutBrackets(url.hostname), port: Number(url.port || 443), listed: isListed };
    },
    /**
     * Checks every address a name has, not only the one that would be used.
     * @throws EgressRefused `address_refused`, `unresolvable` when there is none.
     */
    assertAddresses({ listed: isListed }: Destination, addresses: readonly string[]): void {
      if (addresses.length === 0) throw new EgressRefused('unresolvable');
      for (const address of addresses) {
        const addressClass = classifyAddress(address);
        if (addressClass === 'public' || (isListed && !neverReached.has(addressClass))) continue;
        throw new EgressRefused('address_refused', { addressClass });
      }
    },
  };
}

export type ParsedRules = ReturnType<typeof parseRules>;
