import type { Provider, ProviderTokens } from '@postern/oidc';
import { problem } from '@postern/runtime';
import type { JWTPayload } from 'jose';
import type { AccessToken, Inspected, Introspected, Redeemed } from './provider-calls.ts';

const seconds = (value: unknown): Date | undefined => (typeof value === 'number' ? new Date(value * 1000) : undefined);
const text = (value: unknown): string | undefined => (typeof value === 'string' ? value : undefined);

/** Where a provider does not say how long its token lives, it is taken for this short. */
const UNSAID_LIFE_SECONDS = 60;

/** What of an answer is the access token. */
export const accessOf = ({ accessToken, tokenType, expiresIn, scopes }: ProviderTokens): AccessToken => ({
  token: accessToken,
  type: tokenType.toLowerCase() === 'dpop' ? 'DPoP' : 'Bearer',
  expiresIn: expiresIn ?? UNSAID_LIFE_SECONDS,
  scopes,
});

/** Keycloak names the kind in `typ`; elsewhere the scope tells. */
function kindOf({ typ, scope }: Record<string, unknown>): Introspected['kind'] {
  const offline = text(scope)?.split(' ').includes('offline_access') === true;
  switch (text(typ)?.toLowerCase()) {
    case 'offline':
      return 'offline';
    case 'refresh':
      return 'refresh';
    case undefined:
      return offline ? 'offline' : 'refresh';
    default:
      return 'other';
  }
}

/** What a provider says of a refresh token (RFC 7662, and Keycloak's members). */
export const introspectedOf = ({ active, ...said }: { active: boolean } & Record<string, unknown>): Introspected => ({
  active,
  client: text(said['client_id']) ?? text(said['azp']),
  issuer: text(said['iss']),
  sub: text(said['sub']),
  session: text(said['sid']),
  kind: kindOf(said),
  acr: text(said['acr']),
  authTime: seconds(said['auth_time']),
  expiresAt: seconds(said['exp']),
  scopes: text(said['scope'])?.split(' '),
  certificateBound: typeof said['cnf'] === 'object' && said['cnf'] !== null && Object.hasOwn(said['cnf'], 'x5t#S256'),
});

/** What came of a consent's code. @throws Problem `provider_refused` where no ID token says whose it is */
export function redeemedOf({ refreshToken, refreshExpiresIn, scopes, idToken }: ProviderTokens): Redeemed {
  if (!idToken) throw problem('provider_refused');
  const { iss, sub, sid, acr, auth_time } = idToken;
  return {
    refreshToken,
    idleSeconds: refreshExpiresIn,
    scopes,
    idToken: { iss, sub, sid: text(sid), acr: text(acr), authTime: seconds(auth_time) },
  };
}

/** What a provider says of any token of its own. */
export function inspectedOf(answer: Awaited<ReturnType<Provider['introspect']>>): Inspected {
  if (!answer.active) return { active: false };
  // RFC 7662 2.2: the members are claims. `active` and `username` are about the answer, not about the token.
  const { active: _active, username: _username, ...claims } = answer;
  return {
    active: true,
    clientId: text(answer.client_id) ?? text(answer['azp']),
    issuer: text(answer.iss),
    sub: text(answer.sub),
    sessionId: text(answer['sid']) ?? text(answer['session_state']),
    scopes: text(answer.scope)?.split(' ').filter(Boolean),
    type: text(answer['typ']),
    claims: claims as JWTPayload,
  };
}
