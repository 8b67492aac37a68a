import { open, route } from '@postern/http';
import type { JWK } from 'jose';
import { z } from 'zod';

/** Our public key as a client of the provider: what its administrator registers, or names as `jwks_uri`. */
export const providerClientRoute = (publicKey: JWK) =>
  route({
    method: 'GET',
    path: '/.well-known/provider-client.json',
    listener: 'public',
    summary: 'Public key of this service as a client of the identity provider',
    access: 'anyone',
    audit: 'open',
    cacheControl: 'public, max-age=300',
    answers: { 200: z.strictObject({ keys: z.array(z.looseObject({ kty: z.string() })) }) },
    handle: async () => open({ status: 200, body: { keys: [publicKey] } }),
  });
