import { open, route } from '@postern/http';
import { JWKS_MAX_AGE_SECONDS, type Issuer } from '@postern/issuer';
import { z } from 'zod';

const common = {
  method: 'GET',
  listener: ['api', 'public'],
  access: 'anyone',
  audit: 'open',
  cacheControl: `public, max-age=${JWKS_MAX_AGE_SECONDS}`,
} as const;

/** The public keys of the tokens of this service's own accounts, and what their issuer says of itself (RFC 8414). */
export const issuerRoutes = (issuer: Pick<Issuer, 'jwks' | 'metadata'>) => [
  route({
    ...common,
    path: '/.well-known/jwks.json',
    summary: 'Public keys of login tokens',
    answers: { 200: z.looseObject({ keys: z.array(z.looseObject({ kty: z.string() })) }) },
    handle: async () => open({ status: 200, body: await issuer.jwks() }),
  }),
  route({
    ...common,
    path: '/.well-known/oauth-authorization-server',
    summary: 'Metadata of the issuer of login tokens',
    answers: { 200: z.looseObject({ issuer: z.url() }) },
    handle: async () => open({ status: 200, body: issuer.metadata({}) }),
  }),
];
