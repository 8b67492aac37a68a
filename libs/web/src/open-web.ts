import type { Route } from '@postern/http';
import { providerAtNeed, type Revocations, type TokenVerifier } from '@postern/oidc';
import { queryIn, useOnce } from '@postern/postgres';
import type { Profile } from '@postern/profile';
import type { Now } from '@postern/runtime';
import type { Kysely } from 'kysely';
import type { Dispatcher } from 'undici';
import { logoutKeys } from './logout-keys.ts';
import { assertOwnForm } from './own-forms.ts';
import { openSessions, type Sessions, type WebSession } from './sessions.ts';
import { finishSignIn, startSignIn } from './sign-in-routes.ts';
import { backchannelLogout, signOut } from './sign-out-routes.ts';

export type WebSpec<Schema> = {
  db: Kysely<Schema>;
  /** Where browsers find the public listener, an origin: cookies, forms and the callback belong to it alone. */
  origin: string;
  /** The path under which the pages live: `/approvals`. */
  home: string;
  /** The provider at which people sign in, and this service as its client: by its certificate (RFC 8705). */
  provider: { issuer: string; clientId: string; dispatcher: Dispatcher };
  /** Takes the provider's access tokens; `audience` is whose roles count (R3). */
  verifier: Pick<TokenVerifier, 'inspect'>;
  audience: string;
  profile: Profile;
  revocations: Revocations;
  now: Now;
};

export type Web = {
  /** Sign-in, callback, sign-out and back-channel logout, all on the public listener. */
  routes: Route[];
  /** Where browsers find the pages, and the address of the sign-in's callback, as the provider must know it. */
  home: string;
  callbackUrl: string;
  session: Sessions['find'];
  /** @throws Problem `cross_site` */
  assertOwnForm(session: WebSession, sent: { origin: string | undefined; csrf: string }): void;
  /** Forgets sessions whose time is over; a round of the worker. */
  forget(): Promise<void>;
};

/** Pages for people (R17): sign-in by OpenID Connect with PAR and PKCE, and sessions on the server. No I/O happens here. */
export function openWeb<Schema>(spec: WebSpec<Schema>): Web {
  const { db, origin, home, verifier, audience, profile, revocations, now } = spec;
  const { issuer, clientId, dispatcher } = spec.provider;
  const query = queryIn(db);
  const sessions = openSessions({ query, profile, revocations, now });
  const provider = providerAtNeed({ issuer, clientId, authentication: { method: 'tls_client_auth' }, dispatcher });
  const callbackUrl = `${origin}${home}/callback`;
  const once = (kind: string, value: string, expiresAt: Date) => useOnce(query, kind, value, expiresAt);
  const signingIn = { db, sessions, provider, verifier, audience, callbackUrl, home, useOnce: once, now };
  const keys = logoutKeys(provider, dispatcher);
  const logout = { issuer, audiences: [clientId], algorithms: profile.verifyAlgs, keys, now };
  const signingOut = { db, sessions, provider, logout, home, origin };
  return {
    routes: [startSignIn(signingIn), finishSignIn(signingIn), signOut(signingOut), backchannelLogout(signingOut)],
    home,
    callbackUrl,
    session: sessions.find,
    assertOwnForm: (session, sent) => assertOwnForm(origin, session, sent),
    forget: sessions.forget,
  };
}
