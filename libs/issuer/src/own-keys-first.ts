import type { FetchJwks, TrustTable } from '@postern/oidc';
import type { Issuer } from './open-issuer.ts';

/** An issuer that verifies its own tokens has their keys at hand: it cannot ask itself over the network before it listens. */
export function ownKeysFirst(own: Pick<Issuer, 'issuer' | 'jwks'>, trust: TrustTable, others: FetchJwks): FetchJwks {
  const entries = [...trust.issuers, ...(trust.revocations ?? [])];
  const uris = new Set(entries.filter(({ issuer }) => issuer === own.issuer).map(({ jwksUri }) => jwksUri));
  return (uri) => (uris.has(uri) ? own.jwks() : others(uri));
}
