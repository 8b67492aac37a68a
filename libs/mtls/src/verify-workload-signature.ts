import { constants, createHash, verify, type KeyObject, type X509Certificate } from 'node:crypto';
import { ChainRefused, verifyChain } from './certificate-chain.ts';
import { peerOfCertificate, PeerRefused, workloadOf, type WorkloadTable } from './peer.ts';

/** What no workload of ours signed: forged, torn, or signed by someone else. `reason` is stable. */
export class SignatureRefused extends Error {
  override readonly name = 'SignatureRefused';
  readonly reason: string;
  constructor(reason: string) {
    super(reason);
    this.reason = reason;
  }
}

/** Whose signature is expected, and by what it is judged at this moment (R26). */
export type ExpectedSigner = {
  /** The kind of what was signed (R7). */
  typ: string;
  from: string;
  /** PEM certificates that the chain must end in. */
  anchors: string;
  workloads: WorkloadTable;
  now: Date;
  /** Longer text is not looked at (R25). */
  maxCharacters: number;
};

export type WorkloadSigned = {
  payload: Buffer;
  /** The protected header as it was signed, base64url: it holds the certificate chain. */
  header: string;
  signature: Buffer;
  /** SHA-256 of the JWS signing input (RFC 7515 section 5.1). */
  signingDigest: Buffer;
  /** When the validity of the signer's certificate began. */
  certificateFrom: Date;
};

const COMPACT = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/;

/**
 * Opens what `signAsWorkload` made: size first, then certificate chain, workload, signature. The payload is judged by the
 * caller, after.
 *
 * @throws SignatureRefused
 */
export function verifyWorkloadSignature(jws: string, expected: ExpectedSigner): WorkloadSigned {
  if (jws.length > expected.maxCharacters) throw new SignatureRefused('too_large');
  const [, header = '', payload = '', signature = ''] = COMPACT.exec(jws) ?? [];
  if (header === '') throw new SignatureRefused('not_signed');
  const { alg, x5c } = headerOf(header, expected.typ);
  const signer = signerOf(x5c, expected);
  const input = Buffer.from(`${header}.${payload}`);
  const signed = Buffer.from(signature, 'base64url');
  if (!isSignedBy(signer.publicKey, alg, input, signed)) throw new SignatureRefused('signature');
  const signingDigest = createHash('sha256').update(input).digest();
  const certificateFrom = new Date(signer.validFrom);
  return { payload: Buffer.from(payload, 'base64url'), header, signature: signed, signingDigest, certificateFrom };
}

function headerOf(header: string, expected: string): { alg: string; x5c: string[] } {
  try {
    const read = JSON.parse(Buffer.from(header, 'base64url').toString('utf8')) as Record<string, unknown>;
    const { alg, typ, x5c, crit } = read;
    const chain = Array.isArray(x5c) && x5c.every((entry) => typeof entry === 'string') ? (x5c as string[]) : null;
    // RFC 7515 section 4.1.11: extensions that must be understood, and none is.
    if (typ === expected && typeof alg === 'string' && chain && crit === undefined) return { alg, x5c: chain };
  } catch {
    // Not a header at all: refused below like a wrong one.
  }
  throw new SignatureRefused('header');
}

function signerOf(x5c: string[], { from, anchors, workloads, now }: ExpectedSigner): X509Certificate {
  try {
    const leaf = verifyChain(x5c, anchors, now);
    if (workloadOf(peerOfCertificate(leaf), workloads) === from) return leaf;
  } catch (error) {
    if (error instanceof ChainRefused || error instanceof PeerRefused) throw new SignatureRefused(error.reason);
    throw error;
  }
  throw new SignatureRefused('another_workload');
}

/** The key decides the algorithm; the header only has to name the same (RFC 8725 section 3.1). */
function isSignedBy(key: KeyObject, alg: string, input: Buffer, signature: Buffer): boolean {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  const ieee = { key, dsaEncoding: 'ieee-p1363' } as const;
  if (type === 'ec' && details?.namedCurve === 'prime256v1')
    return alg === 'ES256' && verify('sha256', input, ieee, signature);
  if (type === 'ec' && details?.namedCurve === 'secp384r1')
    return alg === 'ES384' && verify('sha384', input, ieee, signature);
  if (type === 'ed25519') return alg === 'EdDSA' && verify(null, input, key, signature);
  if (type !== 'rsa' || alg !== 'PS256') return false;
  const pss = { key, padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };
  return verify('sha256', input, pss, signature);
}
