import { randomUUID } from 'node:crypto';

import { Agent, request } from 'undici';

import { type ProviderState } from './provider-state.ts';
import { type RealmClient } from './realm.ts';
import { type UserSession } from './sessions.ts';

/** A client's address did not take the logout token; the provider does not try again, as Keycloak does not. */
export type LogoutDelivery = { clientId: string; status: number | 'unreachable' };

/** OpenID Connect Back-Channel Logout 1.0, 2.4: one form field, a signed token that names the login. */
async function logoutToken(state: ProviderState, client: RealmClient, session: UserSession): Promise<string> {
  const iat = state.nowSeconds();
  return state.keys.sign(
    {
      exp: iat + 120,
      iat,
      jti: randomUUID(),
      iss: state.issuer,
      aud: client.clientId,
      sub: session.sub,
      typ: 'Logout',
      sid: session.sid,
      events: {
        'http://schemas.openid.net/event/backchannel-logout': {},
        ...(client.backchannelLogout?.revokeOffline ? { revoke_offline_access: true } : {}),
      },
    },
    'logout+jwt',
  );
}

/** Opens the sender of logout tokens, which trusts the given CA. */
export function openLogoutSender(ca: string) {
  const dispatcher = new Agent({ connect: { ca } });
  return {
    async announce(state: ProviderState, session: UserSession, clientIds: string[]): Promise<LogoutDelivery[]> {
      const clients = clientIds
        .map((clientId) => state.client(clientId))
        .filter((client) => client?.backchannelLogout !== undefined);
      return Promise.all(
        clients.map(async (client) => {
          if (!client?.backchannelLogout) throw new Error('filtered above');
          const body = new URLSearchParams({ logout_token: await logoutToken(state, client, session) }).toString();
          try {
            const answer = await request(client.backchannelLogout.url, {
              method: 'POST',
              headers: { 'content-type': 'application/x-www-form-urlencoded' },
              body,
              dispatcher,
              headersTimeout: 5000,
              bodyTimeout: 5000,
            });
            await answer.body.dump();
            return { clientId: client.clientId, status: answer.statusCode };
          } catch {
            return { clientId: client.clientId, status: 'unreachable' as const };
          }
        }),
      );
    },
    close: () => dispatcher.close(),
  };
}
