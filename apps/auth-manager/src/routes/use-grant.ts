import { route } from '@postern/http';
import type { Issuer } from '@postern/issuer';
import type { Kysely } from 'kysely';
import { problem } from '@postern/runtime';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { countUse } from '../grants/count-use.ts';
import { findHandle } from '../grants/find-handle.ts';
import { scope } from '../grants/grant-answer.ts';
import { grantScopes } from '../grants/grant-scopes.ts';
import { GRANT_TOKEN_AUDIENCE, grantTokenClaims } from '../grants/grant-token-claims.ts';
import type { Confirm } from '../refresh/confirm-grant.ts';

export type UseGrant = {
  db: Kysely<Schema>;
  confirm: Confirm;
  issuer: Pick<Issuer, 'mint'>;
  tokenLifetimeSeconds: number;
};

const JWT_TYPE = 'urn:ietf:params:oauth:token-type:jwt';

/**
 * The grant token for the job that a handle names (R11): by the certificate of the connection, to which the caller's
 * token is bound and the minted one will be.
 */
export const useGrantRoute = ({ db, confirm, issuer, tokenLifetimeSeconds }: UseGrant) =>
  route({
    method: 'POST',
    path: '/v1/grants/:id/access-token',
    listener: 'api',
    summary: 'A grant token for the job that the handle names',
    scope: 'grants:use',
    audit: 'grant.used',
    params: z.strictObject({ id: z.uuid() }),
    body: z.strictObject({
      audience: z.literal(GRANT_TOKEN_AUDIENCE),
      scopes: z.array(scope).min(1).max(64).optional(),
    }),
    answers: {
      200: z.strictObject({
        access_token: z.string(),
        issued_token_type: z.literal(JWT_TYPE),
        token_type: z.literal('N_A'),
        expires_in: z.int().positive(),
        scope: z.string(),
      }),
    },
    problems: [
      'grant_not_found',
      'nothing_granted',
      'reauthorization_required',
      'grant_ended',
      'grant_busy',
      'provider_unavailable',
      'keys_unavailable',
    ],
    async handle({ principal, workload, params: { id }, body, request }, audit) {
      if (workload === null || request.certificateThumbprint === null) throw problem('grant_not_found');
      const at = { grantId: id, tenant: principal.tenant, workload };
      const found = await findHandle(db, at);
      const { refreshed } = await confirm(found.grant);
      // Confirming takes time only where it had to refresh: then both are read again.
      const { grant, handle } = refreshed ? await findHandle(db, at) : found;
      const scopes = grantScopes({ handle: handle.scopes, consent: grant.scopes, asked: body.scopes });
      if (scopes.length === 0) throw problem('nothing_granted');
      const minted = await issuer.mint('grant+jwt', grantTokenClaims(grant, handle, scopes), {
        lifetimeSeconds: tokenLifetimeSeconds,
        binding: { kind: 'certificate', thumbprint: request.certificateThumbprint },
      });
      return db.transaction().execute(async (tx) => {
        await countUse(tx, handle.id);
        return audit.within(
          tx,
          {
            resource: { type: 'grant', id, version: Number(grant.generation) },
            details: {
              scopes,
              audience: GRANT_TOKEN_AUDIENCE,
              tokenId: minted.tokenId,
              expiresAt: minted.expiresAt.toISOString(),
              refreshed,
            },
          },
          {
            status: 200,
            body: {
              access_token: minted.token,
              issued_token_type: JWT_TYPE,
              token_type: 'N_A',
              expires_in: tokenLifetimeSeconds,
              scope: scopes.join(' '),
            },
          },
        );
      });
    },
  });
