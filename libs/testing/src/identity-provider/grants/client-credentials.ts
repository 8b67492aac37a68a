import { type KoaContextWithOIDC } from 'oidc-provider';

import { type ProviderState } from '../provider-state.ts';
import { type RealmClient } from '../realm.ts';
import { assertScopesAssigned, rightsOf } from '../scopes.ts';
import { requestBinding } from '../sender-binding.ts';
import { accessToken, serviceAccountOf } from '../tokens.ts';

/** RFC 6749, 4.4: a token of the client's service account, without a session and without a refresh token. */
export async function clientCredentialsGrant(
  state: ProviderState,
  client: RealmClient,
  ctx: KoaContextWithOIDC,
): Promise<void> {
  const scope = (ctx.oidc.params as Record<string, string | undefined>)['scope'];
  assertScopesAssigned(client, scope);
  const binding = await requestBinding(state, client, ctx.req);
  const user = serviceAccountOf(state, client);
  const rights = rightsOf(state.realm, client, user, scope);
  ctx.body = {
    access_token: await accessToken(state, { client, user, rights, binding }),
    expires_in: state.profile.accessTokenMinutes * 60,
    refresh_expires_in: 0,
    token_type: binding.jkt ? 'DPoP' : 'Bearer',
    'not-before-policy': 0,
    scope: rights.scope,
  };
}
