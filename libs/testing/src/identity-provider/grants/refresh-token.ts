import { type JWTPayload } from 'jose';
import { type KoaContextWithOIDC } from 'oidc-provider';

import { type ProviderState } from '../provider-state.ts';
import { fapiKindOf, type RealmClient } from '../realm.ts';
import { invalidGrant, invalidRequest, OAuthRefusal } from '../refusal.ts';
import { requestBinding } from '../sender-binding.ts';
import { type ClientSession, type SessionKind } from '../sessions.ts';
import { sessionAnswer } from '../tokens.ts';

type RefreshPayload = JWTPayload & {
  typ?: string;
  azp?: string;
  sid?: string;
  cnf?: { 'x5t#S256'?: string; jkt?: string };
};

/** Marks a refresh token as used; false when that was once too often, and its whole family must die. */
function spend(part: ClientSession, id: string, maxReuse: number): boolean {
  if (part.retired.includes(id)) return false;
  if (part.spent?.id === id) {
    part.spent.count += 1;
    return part.spent.count <= maxReuse + 1;
  }
  if (part.spent) part.retired.push(part.spent.id);
  part.spent = { id, count: 1 };
  return true;
}

/** The requested scope cut down to the login's; what is wider is ignored. Without one, all of the login's. */
function narrowed(login: string, requested: string | undefined): string {
  if (requested === undefined) return login;
  const asked = new Set(requested.split(' '));
  return login
    .split(' ')
    .filter((scope) => scope === 'openid' || asked.has(scope))
    .join(' ');
}

/** RFC 6749, 6, with Keycloak's rules of binding, rotation and family death. */
export async function refreshTokenGrant(
  state: ProviderState,
  client: RealmClient,
  ctx: KoaContextWithOIDC,
): Promise<void> {
  const params = ctx.oidc.params as Record<string, string | undefined>;
  if (!params['refresh_token']) throw invalidRequest('No refresh token');
  const payload = state.keys.verifyForSelf(params['refresh_token']) as RefreshPayload | undefined;
  if (!payload?.sid || !payload.jti || !payload.sub) throw invalidGrant('Invalid refresh token');
  if (payload.azp !== client.clientId) {
    throw invalidGrant("Invalid refresh token. Token client and authorized client don't match");
  }
  if ((payload.exp ?? 0) <= state.nowSeconds()) throw invalidGrant('Token is not active');
  const kind: SessionKind = payload.typ === 'Offline' ? 'offline' : 'online';
  const session = state.sessions.find(kind, payload.sid);
  if (!session) throw invalidGrant(kind === 'offline' ? 'Offline user session not found' : 'Session not active');
  if ((payload.iat ?? 0) < state.sessions.notBefore(payload.sub)) throw invalidGrant('Stale token');
  const part = session.clients[client.clientId];
  if (!part || state.sessions.isRevoked(payload.jti)) throw invalidGrant("Session doesn't have required client");

  const binding = await requestBinding(state, client, ctx.req);
  const bound = payload.cnf?.['x5t#S256'];
  if (bound && bound !== binding.thumbprint) {
    const words = 'Client certificate missing, or its thumbprint and one in the';
    throw fapiKindOf(client, state.profile)
      ? invalidGrant(`${words} token did NOT match`)
      : new OAuthRefusal(401, 'unauthorized_client', `${words} refresh token did NOT match`);
  }
  if (payload.cnf?.jkt && payload.cnf.jkt !== binding.jkt)
    throw invalidGrant("DPoP confirmation doesn't match DPoP proof");

  if (state.realm.rotation !== 'off' && !spend(part, payload.jti, state.realm.rotation.maxReuse)) {
    state.sessions.detach(kind, session.sid, client.clientId);
    throw invalidGrant('Maximum allowed refresh token reuse exceeded');
  }
  state.sessions.save(kind, session);
  ctx.body = await sessionAnswer(state, client, kind, session, binding, narrowed(part.scope, params['scope']));
}
