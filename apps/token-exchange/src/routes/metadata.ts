import { open, route } from '@postern/http';
import type { Issuer } from '@postern/issuer';
import type { PolicyDocument } from '@postern/policy';
import type { Profile } from '@postern/profile';
import { z } from 'zod';
import { TOKEN_EXCHANGE } from './exchange-form.ts';

export type MetadataDeps = { issuer: Issuer; apiUrl: string; policy: PolicyDocument; profile: Profile };

/** RFC 8414. Callers with a certificate use the endpoint's alias on the api listener (RFC 8705 section 5). */
export const metadata = ({ issuer, apiUrl, policy, profile }: MetadataDeps) =>
  route({
    method: 'GET',
    path: '/.well-known/oauth-authorization-server',
    listener: ['api', 'public'],
    summary: 'What this issuer offers (RFC 8414)',
    access: 'anyone',
    audit: 'open',
    cacheControl: 'public, max-age=300',
    answers: { 200: z.looseObject({ issuer: z.string(), jwks_uri: z.string() }) },
    handle: () =>
      open({
        status: 200,
        body: issuer.metadata({
          token_endpoint: profile.certificateBoundTokens ? `${apiUrl}/token` : `${issuer.issuer}/token`,
          mtls_endpoint_aliases: { token_endpoint: `${apiUrl}/token` },
          grant_types_supported: [TOKEN_EXCHANGE],
          response_types_supported: [],
          ...methodsOf(profile),
          scopes_supported: policy.scopes.map(({ name }) => name),
        }),
      }),
  });

function methodsOf({ certificateBoundTokens, verifyAlgs }: Profile) {
  if (certificateBoundTokens) return { token_endpoint_auth_methods_supported: ['tls_client_auth'] };
  return {
    token_endpoint_auth_methods_supported: ['tls_client_auth', 'private_key_jwt'],
    token_endpoint_auth_signing_alg_values_supported: verifyAlgs,
    dpop_signing_alg_values_supported: verifyAlgs,
  };
}
