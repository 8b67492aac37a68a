import { noContent, route } from '@postern/http';
import { queryIn, useOnce } from '@postern/postgres';
import type { Kysely } from 'kysely';
import { problem } from '@postern/runtime';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import type { RevokeTokens } from '../grants/revoke-tokens.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import { verifyLogoutToken, type VerifyLogoutToken } from '../sessions/verify-logout-token.ts';

export type BackchannelLogout = RevokeTokens & { db: Kysely<Schema>; logout: VerifyLogoutToken };

/** OpenID Connect Back-Channel Logout 1.0: the provider says that a session ended. 200 only once that is committed (R15). */
export const backchannelLogoutRoute = ({ db, logout, sequence }: BackchannelLogout) =>
  route({
    method: 'POST',
    path: '/v1/backchannel-logout',
    listener: 'public',
    summary: 'Where the identity provider announces logouts',
    access: 'anyone',
    audit: 'logout.received',
    // One address, the provider's, speaks for everybody.
    tier: 'relaxed',
    consumes: 'form',
    errors: 'oauth',
    body: z.strictObject({ logout_token: z.string().min(1).max(16_384) }),
    answers: { 200: noContent },
    problems: ['logout_refused', 'provider_unavailable'],
    async handle({ body }, audit) {
      const verified = await verifyLogoutToken(logout, body.logout_token);
      const { issuer, sub, tokenId, expiresAt } = verified;
      return db.transaction().execute(async (tx) => {
        if (!(await useOnce(queryIn(tx), 'logout-jti', `${issuer} ${tokenId}`, expiresAt))) {
          throw problem('logout_refused');
        }
        const grants = await endSessions(tx, { sequence }, verified, logout.now());
        return audit.within(
          tx,
          {
            ...(sub === undefined ? {} : { actor: { person: { issuer, sub } } }),
            details: { provider: issuer, grants },
          },
          { status: 200 },
        );
      });
    },
  });
