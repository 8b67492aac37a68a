import { X509Certificate } from 'node:crypto';

const CLIENT_AUTH = '1.3.6.1.5.5.7.3.2';
const MOST = 4;
const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/** The certificates of a PEM text, in its order. */
export const certificatesOf = (pem: string): X509Certificate[] =>
  [...pem.matchAll(PEM)].map(([one]) => new X509Certificate(one));

/** A chain that our anchors do not vouch for at this moment. `reason` is stable. */
export class ChainRefused extends Error {
  readonly reason: string;
  constructor(reason: string) {
    super(reason);
    this.name = 'ChainRefused';
    this.reason = reason;
  }
}

/**
 * The leaf of an `x5c` chain (RFC 7515 section 4.1.6: base64 DER, leaf first) when every certificate is issued by the next
 * and the last by an anchor, all are valid at `now`, only authorities issue, and the leaf is for clients (R26). Who the leaf
 * is, is for the caller to say by its one URI name and the operator's table.
 *
 * @throws ChainRefused
 */
export function verifyChain(x5c: readonly string[], anchors: string, now: Date): X509Certificate {
  if (anchors !== verified.anchors) verified = { anchors, chains: new Map() };
  const name = x5c.join('.');
  const known = verified.chains.get(name);
  if (known?.every((certificate) => validAt(certificate, now))) return known[0]!;
  const chain = verifiedAnew(x5c, anchors, now);
  if (verified.chains.size >= REMEMBERED) verified.chains.clear();
  // Text that no chain needs is not kept: whoever sends it has shown no key yet.
  if (name.length <= REMEMBERED_CHARACTERS) verified.chains.set(name, chain);
  return chain[0]!;
}

const REMEMBERED = 64;
const REMEMBERED_CHARACTERS = 16_384;

/** Chains that the anchors of now vouch for, each with its anchor: reading one and its signatures costs more than what it signs. */
let verified = { anchors: '', chains: new Map<string, readonly X509Certificate[]>() };

/** The chain, leaf first, and the anchor that vouches for it. */
function verifiedAnew(x5c: readonly string[], anchors: string, now: Date): readonly X509Certificate[] {
  if (x5c.length === 0 || x5c.length > MOST) throw new ChainRefused('chain_length');
  const chain = x5c.map(parse);
  const roots = certificatesOf(anchors);
  const leaf = chain[0]!;
  let anchor: X509Certificate | undefined;
  for (const [i, certificate] of chain.entries()) {
    if (!validAt(certificate, now)) throw new ChainRefused('certificate_not_valid_now');
    if (i > 0 && !certificate.ca) throw new ChainRefused('issuer_is_no_authority');
    const next = chain[i + 1];
    const issuers = next ? [next] : roots.filter((root) => validAt(root, now));
    // A chain may end in the anchor itself.
    const isAnchor = !next && i > 0 && roots.some((root) => root.raw.equals(certificate.raw));
    anchor = isAnchor ? certificate : issuers.find((issuer) => issuedBy(certificate, issuer));
    if (!anchor) throw new ChainRefused('certificate_untrusted');
  }
  if (leaf.ca) throw new ChainRefused('leaf_is_an_authority');
  if (!leaf.keyUsage?.includes(CLIENT_AUTH)) throw new ChainRefused('certificate_usage');
  return [...chain, anchor!];
}

function parse(base64: string): X509Certificate {
  try {
    return new X509Certificate(Buffer.from(base64, 'base64'));
  } catch {
    throw new ChainRefused('certificate_unreadable');
  }
}

const issuedBy = (certificate: X509Certificate, issuer: X509Certificate): boolean =>
  issuer.ca && certificate.checkIssued(issuer) && certificate.verify(issuer.publicKey);

const validAt = (certificate: X509Certificate, at: Date): boolean =>
  certificate.validFromDate <= at && at < certificate.validToDate;
