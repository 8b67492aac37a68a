import { open, route } from '@postern/http';
import type { Issuer } from '@postern/issuer';
import { z } from 'zod';

const listeners = ['api', 'public'] as const;
const cacheControl = 'public, max-age=300';

/** The public keys of grant tokens, and what the issuer of them says about itself (RFC 8414). */
export const issuerRoutes = (issuer: Pick<Issuer, 'jwks' | 'metadata'>) => [
  route({
    method: 'GET',
    path: '/.well-known/jwks.json',
    listener: listeners,
    summary: 'Public keys of grant tokens',
    access: 'anyone',
    audit: 'open',
    cacheControl,
    answers: { 200: z.looseObject({ keys: z.array(z.looseObject({ kty: z.string() })) }) },
    handle: async () => open({ status: 200, body: await issuer.jwks() }),
  }),
  route({
    method: 'GET',
    path: '/.well-known/oauth-authorization-server',
    listener: listeners,
    summary: 'Metadata of the issuer of grant tokens',
    access: 'anyone',
    audit: 'open',
    cacheControl,
    answers: { 200: z.looseObject({ issuer: z.url() }) },
    handle: async () => open({ status: 200, body: issuer.metadata({}) }),
  }),
];
