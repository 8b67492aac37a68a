import { z } from 'zod';
import { open, route } from '@postern/http';
import { type Issuer } from '@postern/issuer';

/**
 * OpenID Connect Discovery 1.0 section 3, as far as a cloud asks it of who asserts a workload (R36): STS and Entra look for
 * this service's keys here, and nobody logs in by it. On the public listener, which a cloud can reach.
 */
export const openIdConfiguration = ({ issuer }: { issuer: Pick<Issuer, 'jwks' | 'metadata'> }) =>
  route({
    method: 'GET',
    path: '/.well-known/openid-configuration',
    listener: ['api', 'public'],
    access: 'anyone',
    audit: 'open',
    summary: 'Where a cloud finds the keys of this service’s assertions',
    cacheControl: 'public, max-age=300',
    answers: { 200: z.looseObject({ issuer: z.string(), jwks_uri: z.string() }) },
    async handle() {
      const algorithms = new Set((await issuer.jwks()).keys.map(({ alg }) => alg));
      return open({
        status: 200,
        body: {
          ...issuer.metadata(),
          response_types_supported: ['id_token'],
          subject_types_supported: ['public'],
          id_token_signing_alg_values_supported: [...algorithms],
        },
      });
    },
  });
