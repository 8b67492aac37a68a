import { openProvider, type Provider, type ProviderSpec } from '@postern/oidc';
import type { Secret } from '@postern/runtime';
import { type CryptoKey, importJWK, type JWK } from 'jose';

/** Who this service is at a provider. Another `generation`: from here on it is somebody else, with another key. */
export type ClientIdentity = {
  clientId: string;
  /** Private P-256 JWK of the client's assertions (R9); or, in low at a tenant's provider, a secret. */
  proof: { clientKey: JWK } | { clientSecret: Secret };
  /** Private P-256 JWK of its DPoP proofs. */
  dpopKey: JWK;
  generation: string;
};

/** The provider as this client sees it. Its metadata are read. @throws ProviderFailed where they cannot be had, or are unfit */
export async function openAs(
  { clientId, proof, dpopKey }: ClientIdentity,
  spec: Pick<ProviderSpec, 'issuer' | 'dispatcher' | 'pushedRequests'>,
): Promise<Provider> {
  return openProvider({
    ...spec,
    clientId,
    authentication: await authenticationBy(proof),
    dpop: await keyPair(dpopKey),
  });
}

async function signingKey(jwk: JWK): Promise<CryptoKey> {
  return (await importJWK(jwk, 'ES256')) as CryptoKey;
}

async function keyPair(jwk: JWK) {
  const { kty, crv, x, y } = jwk;
  const publicKey = (await importJWK({ kty, crv, x, y } as JWK, 'ES256', { extractable: true })) as CryptoKey;
  return { privateKey: await signingKey(jwk), publicKey };
}

async function authenticationBy(proof: ClientIdentity['proof']): Promise<ProviderSpec['authentication']> {
  if ('clientSecret' in proof) return { method: 'client_secret_basic', secret: proof.clientSecret };
  const { clientKey } = proof;
  const named = clientKey.kid === undefined ? {} : { kid: clientKey.kid };
  return { method: 'private_key_jwt', key: await signingKey(clientKey), ...named };
}
