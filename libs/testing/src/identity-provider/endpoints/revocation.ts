import { type JWTPayload } from 'jose';
import { type KoaContextWithOIDC } from 'oidc-provider';

import { type ProviderState } from '../provider-state.ts';
import { type RealmClient } from '../realm.ts';
import { invalidRequest } from '../refusal.ts';
import { assertHolder } from '../sender-binding.ts';

type Claims = JWTPayload & { azp?: string; sid?: string; typ?: string; cnf?: Record<string, string> };

/**
 * RFC 7009 as Keycloak answers it: a refresh token takes its client's part of the login with it, an access token only
 * itself; what is no token gets 200 with an error in the body.
 */
export async function revoke(state: ProviderState, client: RealmClient, ctx: KoaContextWithOIDC): Promise<void> {
  const token = (ctx.oidc.params as Record<string, string | undefined>)['token'];
  if (!token) throw invalidRequest('Token not provided');
  const refresh = state.keys.verifyForSelf(token) as Claims | undefined;
  const claims = refresh ?? ((await state.keys.verify(token))?.payload as Claims | undefined);
  ctx.status = 200;
  if (!claims) {
    ctx.body = { error: 'invalid_token', error_description: 'Invalid token' };
    return;
  }
  if (claims.azp !== client.clientId) throw invalidRequest('Unmatching clients');
  assertHolder(state, client, ctx.req, claims);
  if (refresh)
    state.sessions.detach(claims.typ === 'Offline' ? 'offline' : 'online', claims.sid ?? '', client.clientId);
  else state.sessions.revokeToken(claims.jti ?? '', claims.exp ?? 0);
  ctx.body = '';
}
