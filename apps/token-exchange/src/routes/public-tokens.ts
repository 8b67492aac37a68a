import { noContent, route } from '@postern/http';
import type { Introspection } from '@postern/issuer';
import { z } from 'zod';
import { authenticateClient, clientCredentials, type AuthenticateClient } from '../clients/authenticate-client.ts';
import { clientOf } from '../exchanges/client-of.ts';
import { giveBack, type RevokeDeps } from './revoke.ts';

export type PublicTokensDeps = AuthenticateClient & RevokeDeps & { introspection: Introspection };

/** Revocation and introspection for clients without a certificate, who prove themselves as at the token endpoint. */
export const publicTokens = (deps: PublicTokensDeps) => [publicRevoke(deps), publicIntrospect(deps)];

const common = {
  method: 'POST',
  listener: 'public',
  access: 'anyone',
  tier: 'relaxed',
  consumes: 'form',
  errors: 'oauth',
  bodyLimit: 32_768,
} as const;
const body = z.strictObject({
  token: z.string().min(1).max(16_384).describe('the token, as it was issued'),
  token_type_hint: z.enum(['access_token', 'refresh_token']).optional().describe('not needed'),
  ...clientCredentials,
});

const publicRevoke = (deps: PublicTokensDeps) =>
  route({
    ...common,
    path: '/revoke',
    summary: 'Revoke a token and all that was minted from it (RFC 7009)',
    audit: 'token.revoked',
    body,
    answers: { 200: noContent },
    problems: ['invalid_client', 'several_methods', 'unauthorized_client', 'revocation_unavailable'],
    async handle({ body: { token, ...credentials }, request }, audit) {
      const workload = await authenticateClient(deps, credentials, request);
      return giveBack(deps, workload, token, audit);
    },
  });

/** RFC 7662: a client is told of the tokens that are for it or were minted for it; every other one is not active for it. */
const publicIntrospect = (deps: PublicTokensDeps) =>
  route({
    ...common,
    path: '/introspect',
    summary: 'Whether a token of this issuer lives, and what it says (RFC 7662)',
    audit: 'token.introspected',
    body,
    answers: {
      200: z.looseObject({
        active: z.boolean().describe('whether it lives and concerns the caller; only then its claims'),
      }),
    },
    problems: ['invalid_client', 'several_methods', 'revocation_unavailable'],
    async handle({ body: { token, ...credentials }, request }, audit) {
      const workload = await authenticateClient(deps, credentials, request);
      const principal = await deps.introspection.living(token);
      const client = clientOf((await deps.policies.current()).document, workload);
      const audiences = [principal?.claims.aud ?? []].flat();
      if (principal === null || (principal.clientId !== client && !audiences.includes(workload))) {
        return audit.released({ details: { active: false } }, { status: 200, body: { active: false } });
      }
      const { tokenId, tenant, binding, claims } = principal;
      const type = binding.kind === 'dpop' ? 'DPoP' : 'Bearer';
      return audit.released(
        { tenant, details: { active: true, tokenId } },
        { status: 200, body: { active: true, token_type: type, ...claims } },
      );
    },
  });
