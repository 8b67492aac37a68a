import { route, type Page } from '@postern/http';
import type { Provider } from '@postern/oidc';
import { queryIn } from '@postern/postgres';
import type { Now } from '@postern/runtime';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import { noSignInCookie, sessionCookie, SIGN_IN_SECONDS, signInCookie, signInIn } from './cookies.ts';
import { html } from './html.ts';
import { page } from './page.ts';
import { redeemSignIn, type RedeemSignIn, type SignInFailure } from './redeem-sign-in.ts';
import type { Sessions } from './sessions.ts';

export type SignInRoutes<Schema> = RedeemSignIn & {
  db: Kysely<Schema>;
  /** Single use (R16). */
  useOnce: (kind: string, value: string, expiresAt: Date) => Promise<boolean>;
  sessions: Sessions;
  /** The path under which the pages live: `/approvals`. */
  home: string;
  now: Now;
};

const METHOD = 'oidc';

/** A path below `home`, never an address: what a sign-in goes on to. */
const onwardTo = (home: string, asked: string | undefined): string =>
  asked !== undefined && (asked === home || asked.startsWith(`${home}/`)) && /^[\w/-]+$/.test(asked) ? asked : home;

/** The first hop: a cookie, and on to the provider by PAR and PKCE. `acr` asks for a stronger login (RFC 9470). */
export const startSignIn = <Schema>({ provider, callbackUrl, home }: SignInRoutes<Schema>) =>
  route({
    method: 'GET',
    path: `${home}/sign-in`,
    listener: 'public',
    summary: 'Sign in at the identity provider',
    access: 'anyone',
    audit: 'login.started',
    query: z.strictObject({
      for: z.string().max(256).optional().describe('the page to go on to'),
      acr: z.string().min(1).max(128).optional().describe('how strong the login has to be'),
    }),
    answers: { 303: 'redirect', 503: 'html' },
    async handle({ query: { for: asked, acr } }, audit) {
      const parameters = acr === undefined ? {} : { acr_values: acr, prompt: 'login' };
      const scopes = ['openid'];
      const begun = await provider()
        .then((opened: Provider) => opened.startAuthorization({ redirectUri: callbackUrl, scopes, parameters }))
        .catch(() => null);
      const details = { method: METHOD };
      if (begun === null) {
        const reason = 'provider_unavailable';
        return audit.page({ outcome: 'failed', reason, details }, failurePage(home, reason));
      }
      const { url, state, nonce, verifier } = begun;
      const kept = { state, nonce, verifier: verifier.reveal(), onward: onwardTo(home, asked) };
      return audit.redirect({ details }, { to: url, cookies: [signInCookie(kept)] });
    },
  });

/** The second hop: the provider sent the browser back. A session begins in the transaction of its event. */
export const finishSignIn = <Schema>(deps: SignInRoutes<Schema>) =>
  route({
    method: 'GET',
    path: `${deps.home}/callback`,
    listener: 'public',
    summary: 'Where the identity provider returns the browser',
    access: 'anyone',
    audit: 'login.succeeded',
    // RFC 6749 4.1.2: what a client does not know of a response it ignores.
    query: z.object({
      state: z.string().min(1).max(128).describe('as the sign-in was begun with'),
      code: z.string().min(1).max(4_096).optional().describe('the authorization code'),
      iss: z.string().max(512).optional().describe('who answers (RFC 9207)'),
      error: z.string().max(128).optional().describe('why there is no code'),
    }),
    answers: { 303: 'redirect', 400: 'html', 403: 'html', 503: 'html' },
    async handle({ query: { state, code, iss, error }, request }, audit) {
      const { home, sessions, now } = deps;
      const fail = (reason: Failure) =>
        audit.page(
          { action: 'login.failed', outcome: 'refused', reason, details: { method: METHOD } },
          failurePage(home, reason),
        );
      const begun = signInIn(request.cookies);
      if (begun === undefined || begun.state !== state) return fail('not_begun_here');
      if (error !== undefined || code === undefined) return fail('provider_refused');
      const expiresAt = new Date(now().getTime() + 2 * SIGN_IN_SECONDS * 1000);
      if (!(await deps.useOnce('web-sign-in', state, expiresAt))) return fail('not_begun_here');
      const login = await redeemSignIn(deps, begun, { state, code, iss });
      if (typeof login === 'string') return fail(login);
      return deps.db.transaction().execute(async (tx) => {
        const value = await sessions.begin(queryIn(tx), login);
        const actor = { client: login.clientId, ...(login.person && { person: login.person }) };
        const what = { tenant: login.tenant, actor, details: { method: METHOD } };
        const cookies = [sessionCookie(value), noSignInCookie];
        return audit.redirectWithin(tx, what, { to: begun.onward, cookies });
      });
    },
  });

type Failure = SignInFailure | 'not_begun_here';

const failures: Record<Failure, { status: 400 | 403 | 503; text: string }> = {
  not_begun_here: { status: 400, text: 'This sign-in was not begun in this browser, or is over. Begin again.' },
  provider_refused: { status: 403, text: 'The identity provider did not sign you in.' },
  provider_unavailable: { status: 503, text: 'The identity provider does not answer. Try again in a moment.' },
  token_refused: { status: 403, text: 'The identity provider’s answer was not accepted here.' },
  other_person: { status: 403, text: 'The identity provider’s answer was not accepted here.' },
};

/** Fixed texts: nothing that arrived stands in them. */
function failurePage(home: string, reason: Failure): Page {
  const { status, text } = failures[reason];
  return page({
    title: 'You are not signed in',
    home,
    status,
    cookies: [noSignInCookie],
    main: html`<p>${text}</p>
      <p><a class="button" href="${home}">Go back</a></p>`,
  });
}
