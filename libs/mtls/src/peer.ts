import type { X509Certificate } from 'node:crypto';
import type { TLSSocket } from 'node:tls';
import { certificateThumbprint } from './material.ts';

/** Who is at the other end, as its certificate says. `thumbprint` is base64url SHA-256 of the DER. */
export type Peer = { thumbprint: string; commonName: string; spiffeId: string };

/** The operator's table: SPIFFE ids are never taken apart to find a workload (R4). */
export type WorkloadTable = { trustDomain: string; workloads: readonly { name: string; spiffeId: string }[] };

/** A certificate that our anchors vouch for but whose shape R4 does not allow. `reason` is stable, for the audit. */
export class PeerRefused extends Error {
  readonly reason: string;
  constructor(reason: string, message: string) {
    super(message);
    this.name = 'PeerRefused';
    this.reason = reason;
  }
}

/**
 * The peer of a TLS connection, or null when it presented no certificate.
 *
 * R4: exactly one URI name and it is a SPIFFE id; exactly one common name.
 *
 * @throws PeerRefused for any other shape, or for a certificate that did not verify.
 */
export function peerOf(socket: TLSSocket): Peer | null {
  const certificate = socket.getPeerX509Certificate();
  if (certificate === undefined) return null;
  if (!socket.authorized) throw new PeerRefused('certificate_unverified', 'the certificate did not verify');
  return peerOfCertificate(certificate);
}

/** `peerOf` for a certificate in hand. It does not verify the certificate. */
export function peerOfCertificate(certificate: X509Certificate): Peer {
  const uris = uriNames(certificate.subjectAltName ?? '');
  const [spiffeId] = uris;
  if (spiffeId === undefined || uris.length !== 1) {
    throw new PeerRefused('certificate_uri_names', `one URI name is needed, the certificate has ${uris.length}`);
  }
  if (!SPIFFE_ID.test(spiffeId)) throw new PeerRefused('certificate_spiffe_id', 'the URI name is not a SPIFFE id');
  const commonNames = certificate.subject.split('\n').filter((line) => line.startsWith('CN='));
  const commonName = commonNames[0]?.slice('CN='.length);
  if (commonName === undefined || commonNames.length !== 1 || !COMMON_NAME.test(commonName)) {
    throw new PeerRefused('certificate_common_name', 'one common name is needed, of letters, digits and hyphens');
  }
  return { thumbprint: certificateThumbprint(certificate), commonName, spiffeId };
}

/**
 * The workload that a peer is, by the operator's table: its SPIFFE id is listed, lies in the trust domain, and its
 * common name is the workload's name (R4).
 *
 * @throws PeerRefused otherwise.
 */
export function workloadOf(peer: Peer, table: WorkloadTable): string {
  if (!peer.spiffeId.startsWith(`spiffe://${table.trustDomain}/`)) {
    throw new PeerRefused('trust_domain_foreign', 'the certificate is of another trust domain');
  }
  const workload = table.workloads.find(({ spiffeId }) => spiffeId === peer.spiffeId);
  if (workload === undefined) throw new PeerRefused('workload_unknown', 'no workload has this SPIFFE id');
  if (workload.name !== peer.commonName) {
    throw new PeerRefused('certificate_common_name', 'the common name is not the name of the workload');
  }
  return workload.name;
}

/** SPIFFE ID, sections 2.1 and 2.2: lower-case trust domain, a path of non-empty segments, no dot segments. */
const SPIFFE_ID = /^spiffe:\/\/[a-z0-9._-]{1,255}(?:\/(?!\.{1,2}(?:\/|$))[A-Za-z0-9._-]+)+$/;

const COMMON_NAME = /^[a-z0-9](?:[a-z0-9-]{0,62}[a-z0-9])?$/;

// Node writes names as `URI:value, DNS:value` and quotes a value that could be taken for two of them.
const NAME = /(?:^|, )([A-Za-z ]+):("(?:[^"\\]|\\.)*"|[^,]*)/g;

function uriNames(subjectAltName: string): string[] {
  return [...subjectAltName.matchAll(NAME)].flatMap(([, kind, value]) => (kind === 'URI' ? [value ?? ''] : []));
}
