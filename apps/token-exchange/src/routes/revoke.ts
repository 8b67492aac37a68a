import { noContent, route, type Released, type RouteAudit } from '@postern/http';
import type { Introspection, RevocationSequence } from '@postern/issuer';
import { problem } from '@postern/runtime';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { clientOf } from '../exchanges/client-of.ts';
import type { PolicyStore } from '../policy/policy-store.ts';
import { revokeToken } from '../revocations/revoke-descendants.ts';

export type RevokeDeps = {
  db: Kysely<Schema>;
  sequence: RevocationSequence;
  introspection: Introspection;
  issuer: { issuer: string };
  policies: PolicyStore;
  workloads: readonly string[];
  now: () => Date;
};

/**
 * RFC 7009: a workload gives back a token that was minted for it; what was minted from that token dies with it. A token
 * that does not live, or is not of this issuer, is as good as revoked: 200 (section 2.2).
 */
export const revoke = (deps: RevokeDeps) =>
  route({
    method: 'POST',
    path: '/revoke',
    listener: 'api',
    summary: 'Revoke a token and all that was minted from it (RFC 7009)',
    description:
      "A token that does not live, or is not of this issuer, is as good as revoked: 200. Another client's token is refused.",
    access: 'workload',
    workloads: deps.workloads,
    audit: 'token.revoked',
    consumes: 'form',
    errors: 'oauth',
    bodyLimit: 32_768,
    body: z.strictObject({
      token: z.string().min(1).max(16_384).describe('the token, as it was issued'),
      token_type_hint: z.enum(['access_token', 'refresh_token']).optional().describe('not needed'),
      client_id: z.string().max(128).optional().describe('as RFC 6749 has it; the certificate decides'),
    }),
    answers: { 200: noContent },
    problems: ['unauthorized_client', 'revocation_unavailable'],
    handle: ({ workload, body: { token } }, audit) => giveBack(deps, workload, token, audit),
  });

/** @throws Problem `unauthorized_client` for another client's token */
export async function giveBack(
  deps: RevokeDeps,
  workload: string,
  token: string,
  audit: RouteAudit<'token.revoked', { 200: typeof noContent }>,
): Promise<Released> {
  const principal = await deps.introspection.living(token);
  if (principal === null) return audit.released({ details: { tokens: 0 } }, { status: 200 });
  const { issuer, tokenId, tenant, clientId } = principal;
  if (clientId !== clientOf((await deps.policies.current()).document, workload)) throw problem('unauthorized_client');
  return deps.db.transaction().execute(async (tx) => {
    const tokens = await revokeToken(tx, deps, { issuer, tokenId });
    return audit.within(tx, { tenant, details: { tokenId, tokens, cause: 'client' } }, { status: 200 });
  });
}
