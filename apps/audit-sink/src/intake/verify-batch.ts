import { createHash, type KeyObject } from 'node:crypto';
import { compactVerify, decodeProtectedHeader } from 'jose';
import { auditBatch, BATCH_MAX_CHARACTERS, BATCH_TYPE, type AuditBatch } from '@postern/audit';
import { peerOfCertificate, PeerRefused, workloadOf, type WorkloadTable } from '@postern/mtls';
import { ChainRefused, verifyChain } from './certificate-chain.ts';

/** A job that no producer signed: forged, torn, or signed by someone else. `reason` is stable. */
export class BatchForged extends Error {
  readonly reason: string;
  constructor(reason: string) {
    super(reason);
    this.name = 'BatchForged';
    this.reason = reason;
  }
}

/** A batch and what is kept of its signature, from which it can be verified without the events (R26, R28). */
export type SignedBatch = {
  batch: AuditBatch;
  /** The protected header as it was signed, base64url: it holds the certificate chain. */
  header: string;
  signature: Buffer;
  /** SHA-256 of the JWS signing input (RFC 7515 section 5.1). */
  signingDigest: Buffer;
};

/** Whose signature is expected, and by what it is judged at this moment (R26). */
export type Expected = { from: string; anchors: string; workloads: WorkloadTable; now: Date };

const ALGORITHMS = ['ES256', 'ES384', 'PS256', 'EdDSA'];
const COMPACT = /^([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)\.([A-Za-z0-9_-]+)$/;

/**
 * Opens a signed batch: size first, then certificate chain, workload, signature, and only then its content (R25, R26).
 *
 * @param expected `from`: the producer whose queue it came by; nobody else may be its signer.
 * @throws BatchForged
 */
export async function verifyBatch(jws: string, expected: Expected): Promise<SignedBatch> {
  if (jws.length > BATCH_MAX_CHARACTERS) throw new BatchForged('batch_too_large');
  const [, header = '', payload = '', signature = ''] = COMPACT.exec(jws) ?? [];
  if (header === '') throw new BatchForged('batch_not_signed');
  const key = signerOf(chainOf(jws), expected);
  const verified = await compactVerify(jws, key, { algorithms: ALGORITHMS }).catch(() => {
    throw new BatchForged('batch_signature');
  });
  const batch = auditBatch.safeParse(asJson(verified.payload));
  if (!batch.success) throw new BatchForged('batch_shape');
  if (batch.data.producer !== expected.from) throw new BatchForged('batch_of_another_producer');
  return {
    batch: batch.data,
    header,
    signature: Buffer.from(signature, 'base64url'),
    signingDigest: createHash('sha256').update(`${header}.${payload}`).digest(),
  };
}

function chainOf(jws: string): string[] {
  try {
    const { typ, x5c } = decodeProtectedHeader(jws);
    if (typ === BATCH_TYPE && Array.isArray(x5c) && x5c.every((entry) => typeof entry === 'string')) return x5c;
  } catch {
    // Not a header at all: refused below like a wrong one.
  }
  throw new BatchForged('batch_header');
}

function signerOf(x5c: string[], { from, anchors, workloads, now }: Expected): KeyObject {
  try {
    const leaf = verifyChain(x5c, anchors, now);
    if (workloadOf(peerOfCertificate(leaf), workloads) === from) return leaf.publicKey;
  } catch (error) {
    if (error instanceof ChainRefused || error instanceof PeerRefused) throw new BatchForged(error.reason);
    throw error;
  }
  throw new BatchForged('batch_of_another_producer');
}

function asJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
