import { open, route } from '@postern/http';
import { JWKS_MAX_AGE_SECONDS, type Issuer } from '@postern/issuer';
import { z } from 'zod';

/** RFC 7517: the public keys of what is minted here, the next ones included. */
export const jwks = ({ issuer }: { issuer: Issuer }) =>
  route({
    method: 'GET',
    path: '/.well-known/jwks.json',
    listener: ['api', 'public'],
    summary: 'The public keys of this issuer',
    access: 'anyone',
    audit: 'open',
    cacheControl: `public, max-age=${JWKS_MAX_AGE_SECONDS}`,
    answers: { 200: z.strictObject({ keys: z.array(z.looseObject({ kty: z.string(), kid: z.string() })) }) },
    handle: async () => open({ status: 200, body: await issuer.jwks() }),
  });
