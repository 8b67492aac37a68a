import { constants, createPrivateKey, sign, type KeyObject } from 'node:crypto';
import { certificatesOf } from './certificate-chain.ts';
import type { TlsFiles } from './material.ts';

/**
 * Signs a payload with the workload's certificate key of this moment (R26): compact JWS (RFC 7515) with the chain in `x5c`,
 * leaf first. Sign anew at each send, so that nothing sent is older than the certificate that vouches for it.
 *
 * @param typ kind of what is signed; every kind has its own, so that none is taken for another (R7).
 * @param payload JSON text.
 */
export function signAsWorkload(typ: string, payload: string | Uint8Array, tls: Pick<TlsFiles, 'cert' | 'key'>): string {
  const { key, algorithm, x5c } = signerOf(tls);
  const header = Buffer.from(JSON.stringify({ alg: algorithm.alg, typ, x5c })).toString('base64url');
  const input = `${header}.${Buffer.from(payload).toString('base64url')}`;
  return `${input}.${sign(algorithm.hash, Buffer.from(input), { key, ...algorithm.options }).toString('base64url')}`;
}

type Algorithm = {
  alg: string;
  hash: string | null;
  options?: { dsaEncoding: 'ieee-p1363' } | { padding: number; saltLength: number };
};
type Signer = { cert: string; private: string; key: KeyObject; algorithm: Algorithm; x5c: string[] };

let newest: Signer | undefined;

/** Key and chain are read once for each certificate. */
function signerOf({ cert, key: pem }: Pick<TlsFiles, 'cert' | 'key'>): Signer {
  if (newest?.cert === cert && newest.private === pem) return newest;
  const key = createPrivateKey(pem);
  const algorithm = algorithmOf(key);
  const x5c = certificatesOf(cert).map(({ raw }) => raw.toString('base64'));
  newest = { cert, private: pem, key, algorithm, x5c };
  return newest;
}

// RFC 7518 section 3.1 and RFC 8037 section 3.1.
const ECDSA = { dsaEncoding: 'ieee-p1363' } as const;
const PSS = { padding: constants.RSA_PKCS1_PSS_PADDING, saltLength: constants.RSA_PSS_SALTLEN_DIGEST };

function algorithmOf(key: KeyObject): Algorithm {
  const { asymmetricKeyType: type, asymmetricKeyDetails: details } = key;
  if (type === 'ec' && details?.namedCurve === 'prime256v1') return { alg: 'ES256', hash: 'sha256', options: ECDSA };
  if (type === 'ec' && details?.namedCurve === 'secp384r1') return { alg: 'ES384', hash: 'sha384', options: ECDSA };
  if (type === 'ed25519') return { alg: 'EdDSA', hash: null };
  if (type === 'rsa') return { alg: 'PS256', hash: 'sha256', options: PSS };
  throw new Error('nothing can be signed with this kind of key');
}
