import { createPrivateKey, X509Certificate, type KeyObject } from 'node:crypto';
import { CompactSign } from 'jose';
import { BATCH_TYPE, type AuditBatch } from '@postern/audit';
import type { TlsFiles } from '@postern/mtls';

const PEM = /-----BEGIN CERTIFICATE-----[^-]+-----END CERTIFICATE-----/g;

/**
 * Signs a batch with the workload's certificate key of this moment (R26): compact JWS (RFC 7515) with the chain in `x5c`, leaf
 * first. Done anew at each send, so that a batch is never older than the certificate that vouches for it.
 */
export async function signBatch(batch: AuditBatch, tls: Pick<TlsFiles, 'cert' | 'key'>): Promise<string> {
  const key = createPrivateKey(tls.key);
  const x5c = [...tls.cert.matchAll(PEM)].map(([pem]) => new X509Certificate(pem).raw.toString('base64'));
  return new CompactSign(new TextEncoder().encode(JSON.stringify(batch)))
    .setProtectedHeader({ alg: algorithmOf(key), typ: BATCH_TYPE, x5c })
    .sign(key);
}

function algorithmOf(key: KeyObject): string {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'ec' && details?.namedCurve === 'prime256v1') return 'ES256';
  if (type === 'ec' && details?.namedCurve === 'secp384r1') return 'ES384';
  if (type === 'ed25519') return 'EdDSA';
  if (type === 'rsa') return 'PS256';
  throw new Error('batches cannot be signed with this kind of key');
}
