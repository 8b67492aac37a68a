import { type JWTPayload } from 'jose';
import { type KoaContextWithOIDC } from 'oidc-provider';

import { type ProviderState } from '../provider-state.ts';
import { type RealmClient } from '../realm.ts';
import { OAuthRefusal } from '../refusal.ts';
import { isActive } from '../tokens.ts';

type Claims = JWTPayload & { azp?: string; sid?: string; typ?: string };

const audiences = ({ aud }: Claims) => (aud === undefined ? [] : Array.isArray(aud) ? aud : [aud]);

function refreshIsActive(state: ProviderState, claims: Claims): boolean {
  const kind = claims.typ === 'Offline' ? 'offline' : 'online';
  const part = state.sessions.find(kind, claims.sid ?? '')?.clients[claims.azp ?? ''];
  const stale = (claims.iat ?? 0) < state.sessions.notBefore(claims.sub ?? '');
  if (!part || stale || (claims.exp ?? 0) <= state.nowSeconds() || state.sessions.isRevoked(claims.jti ?? ''))
    return false;
  if (state.realm.rotation === 'off') return true;
  const { maxReuse } = state.realm.rotation;
  const usedUp = part.spent !== undefined && part.spent.id === claims.jti && part.spent.count > maxReuse;
  return !usedUp && !part.retired.includes(claims.jti ?? '');
}

/**
 * RFC 7662 as Keycloak answers it: a token is active only for a caller in its audience, which is nobody for a refresh
 * token, unless the client may see any. Looking consumes nothing.
 */
export async function introspect(state: ProviderState, client: RealmClient, ctx: KoaContextWithOIDC): Promise<void> {
  if (client.authentication.kind === 'public') throw new OAuthRefusal(403, 'invalid_request', 'Client not allowed.');
  const token = (ctx.oidc.params as Record<string, string | undefined>)['token'];
  if (!token) throw new OAuthRefusal(400, 'invalid_request', 'Token not provided.');
  ctx.body = { active: false };

  const refresh = state.keys.verifyForSelf(token) as Claims | undefined;
  const access = refresh ? undefined : await state.keys.verify(token);
  const claims = refresh ?? (access?.typ === 'at+jwt' ? (access.payload as Claims) : undefined);
  if (!claims) return;
  if (refresh ? !refreshIsActive(state, claims) : !isActive(state, claims)) return;
  if (!client.introspectsAnyToken && !audiences(claims).includes(client.clientId)) return;
  const username = state.userById(claims.sub ?? '')?.username;
  ctx.body = {
    ...claims,
    client_id: claims.azp,
    ...(username ? { username } : {}),
    token_type: claims.typ,
    active: true,
  };
}
