import { open, route } from '@postern/http';
import type { Issuer } from '@postern/issuer';
import type { PolicyDocument } from '@postern/policy';
import { z } from 'zod';
import { TOKEN_EXCHANGE } from './exchange-form.ts';

export type MetadataDeps = { issuer: Issuer; apiUrl: string; policy: PolicyDocument };

/** RFC 8414. The token endpoint is on the listener that asks for a client certificate (RFC 8705 section 5). */
export const metadata = ({ issuer, apiUrl, policy }: MetadataDeps) =>
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
          token_endpoint: `${apiUrl}/token`,
          mtls_endpoint_aliases: { token_endpoint: `${apiUrl}/token` },
          grant_types_supported: [TOKEN_EXCHANGE],
          response_types_supported: [],
          token_endpoint_auth_methods_supported: ['tls_client_auth'],
          scopes_supported: policy.scopes.map(({ name }) => name),
        }),
      }),
  });
