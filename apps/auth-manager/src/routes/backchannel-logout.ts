import { noContent, route } from '@postern/http';
import { queryIn, useOnce } from '@postern/postgres';
import type { Kysely } from 'kysely';
import { problem } from '@postern/runtime';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import type { RevokeTokens } from '../grants/revoke-tokens.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import { readLogout, type ReadLogout } from '../sessions/read-logout.ts';

export type BackchannelLogout = RevokeTokens & {
  db: Kysely<Schema>;
  logout: ReadLogout;
  /** Whether an offline grant outlives the session, where the provider does not say that its token died with it. */
  offlineOutlives: boolean;
};

/** OpenID Connect Back-Channel Logout 1.0: the provider says that a session ended. 200 only once that is committed (R15). */
export const backchannelLogoutRoute = ({ db, logout, sequence, offlineOutlives }: BackchannelLogout) =>
  route({
    method: 'POST',
    path: '/v1/backchannel-logout',
    listener: 'public',
    summary: 'Where the identity provider announces logouts',
    description: '200 only after what the session gave is revoked. A token that was seen before is refused.',
    access: 'anyone',
    audit: 'logout.received',
    // One address, the provider's, speaks for everybody.
    tier: 'relaxed',
    consumes: 'form',
    errors: 'oauth',
    body: z.strictObject({
      logout_token: z.string().min(1).max(16_384).describe('OpenID Connect Back-Channel Logout 1.0, section 2.4'),
    }),
    answers: { 200: noContent },
    problems: ['logout_refused', 'provider_unavailable'],
    async handle({ body }, audit) {
      const verified = await readLogout(logout, body.logout_token);
      const { issuer, sub, sessionId, tokenId, expiresAt, offlineToo } = verified;
      const which = { ...verified, sessionIds: sessionId === undefined ? undefined : [sessionId] };
      const kinds = ['refresh' as const, ...(offlineToo || !offlineOutlives ? (['offline'] as const) : [])];
      // An offline token that the provider did not end lives on there until a worker has revoked it.
      const living = offlineToo ? [] : (['offline'] as const);
      return db.transaction().execute(async (tx) => {
        if (!(await useOnce(queryIn(tx), 'logout-jti', `${issuer} ${tokenId}`, expiresAt))) {
          throw problem('logout_refused');
        }
        const { now } = logout;
        const grants = (await endSessions(tx, { sequence, now }, which, { kinds, living })).length;
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
