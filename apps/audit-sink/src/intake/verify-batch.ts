import {
  BATCH_MAX_CHARACTERS,
  BATCH_TYPE,
  batchManifest,
  openBatch,
  splitBatch,
  type AuditBatch,
  type BatchManifest,
} from '@postern/audit';
import { SignatureRefused, verifyWorkloadSignature, type WorkloadSigned, type WorkloadTable } from '@postern/mtls';

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
export type SignedBatch = Omit<WorkloadSigned, 'payload'> & { batch: AuditBatch };

/** Whose signature is expected, and by what it is judged at this moment (R26). */
export type Expected = { from: string; anchors: string; workloads: WorkloadTable; now: Date };

/**
 * Opens a signed batch: size first, then certificate chain, workload, signature, and only then its content (R25, R26).
 *
 * @param text `joinBatch` of the signed manifest and the content.
 * @param expected `from`: the producer whose queue it came by; nobody else may be its signer.
 * @throws BatchForged
 */
export function verifyBatch(text: string, expected: Expected): SignedBatch {
  if (text.length > BATCH_MAX_CHARACTERS) throw new BatchForged('batch_too_large');
  const parts = splitBatch(text);
  if (!parts) throw new BatchForged('batch_not_signed');
  const { payload, ...signed } = signatureOf(parts.manifest, expected);
  const manifest = batchManifest.safeParse(asJson(payload));
  if (!manifest.success) throw new BatchForged('batch_shape');
  if (manifest.data.producer !== expected.from) throw new BatchForged('batch_of_another_producer');
  return { batch: entriesOf(manifest.data, parts.content), ...signed };
}

function entriesOf(manifest: BatchManifest, content: Buffer): AuditBatch {
  try {
    return openBatch(manifest, content);
  } catch {
    throw new BatchForged('batch_content');
  }
}

function signatureOf(jws: string, expected: Expected): WorkloadSigned {
  try {
    return verifyWorkloadSignature(jws, { ...expected, typ: BATCH_TYPE, maxCharacters: BATCH_MAX_CHARACTERS });
  } catch (error) {
    if (error instanceof SignatureRefused) throw new BatchForged(REASONS[error.reason] ?? error.reason);
    throw error;
  }
}

/** Reasons that are about the batch, not about its certificate. */
const REASONS: Readonly<Record<string, string>> = {
  too_large: 'batch_too_large',
  not_signed: 'batch_not_signed',
  header: 'batch_header',
  signature: 'batch_signature',
  another_workload: 'batch_of_another_producer',
};

function asJson(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(new TextDecoder('utf-8', { fatal: true }).decode(bytes));
  } catch {
    return undefined;
  }
}
