import { noContent, route } from '@postern/http';
import { checkLogoutToken, type LogoutTokenCheck, type Provider } from '@postern/oidc';
import { queryIn, useOnce } from '@postern/postgres';
import { problem } from '@postern/runtime';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import { noSessionCookie } from './cookies.ts';
import { html } from './html.ts';
import { assertOwnForm, formFields, formHeaders } from './own-forms.ts';
import { page } from './page.ts';
import type { Sessions } from './sessions.ts';

export type SignOutRoutes<Schema> = {
  db: Kysely<Schema>;
  sessions: Sessions;
  provider: () => Promise<Provider>;
  /** This client's alone are taken here. */
  logout: LogoutTokenCheck;
  home: string;
  /** The origin of the pages. */
  origin: string;
};

/** Ends the session here; at the provider the person ends theirs by the link that follows, where it has one. */
export const signOut = <Schema>({ db, sessions, provider, home, origin }: SignOutRoutes<Schema>) =>
  route({
    method: 'POST',
    path: `${home}/sign-out`,
    listener: 'public',
    summary: 'Sign out of these pages',
    access: 'anyone',
    audit: 'session.ended',
    consumes: 'form',
    headers: formHeaders,
    body: z.strictObject(formFields),
    answers: { 200: 'html' },
    problems: ['cross_site', 'revocation_unavailable'],
    async handle({ request, headers, body: { csrf } }, audit) {
      const session = await sessions.find(request.cookies);
      if (!session) throw problem('cross_site');
      assertOwnForm(origin, session, { origin: headers.origin, csrf });
      const end = await provider().then(
        ({ metadata }) => metadata.end_session_endpoint,
        () => undefined,
      );
      const { tenant, person, clientId } = session.principal;
      return db.transaction().execute(async (tx) => {
        await sessions.end(queryIn(tx), session);
        const actor = { client: clientId, ...(person && { person }) };
        const what = { tenant, actor, details: { cause: 'signed_out' } };
        return audit.pageWithin(tx, what, {
          ...page({
            title: 'You are signed out',
            home,
            cookies: [noSessionCookie],
            main: html`<p>Your session here is over.</p>
              ${end !== undefined && html`<p><a href="${end}">Sign out of the identity provider as well</a></p>`}
              <p><a class="button" href="${home}">Sign in again</a></p>`,
          }),
        });
      });
    },
  });

/** OpenID Connect Back-Channel Logout 1.0: the provider says that a login is over. 200 only once that is committed (R15). */
export const backchannelLogout = <Schema>({ db, sessions, logout, home }: SignOutRoutes<Schema>) =>
  route({
    method: 'POST',
    path: `${home}/backchannel-logout`,
    listener: 'public',
    summary: 'Where the identity provider announces logouts',
    access: 'anyone',
    audit: 'session.ended',
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
      const verified = await checkLogoutToken(logout, body.logout_token);
      const { issuer, sub, tokenId, expiresAt } = verified;
      return db.transaction().execute(async (tx) => {
        const query = queryIn(tx);
        if (!(await useOnce(query, 'logout-jti', `${issuer} ${tokenId}`, expiresAt))) throw problem('logout_refused');
        await sessions.endOf(query, verified);
        const actor = sub === undefined ? {} : { actor: { person: { issuer, sub } } };
        return audit.within(tx, { ...actor, details: { cause: 'backchannel', provider: issuer } }, { status: 200 });
      });
    },
  });
