import { once } from 'node:events';

import { profileNamed, type ProfileName } from '@postern/profile';

import { freePort } from '../run/free-port.ts';
import { openLogoutSender, type LogoutDelivery } from './backchannel-logout.ts';
import { endLogin } from './endpoints/logout.ts';
import { openFrontChannel } from './front-channel.ts';
import { openKeys } from './keys.ts';
import { type ProviderState } from './provider-state.ts';
import { assertRealm, type Realm } from './realm.ts';
import { type Between, createRealmServer, type ServerCertificate } from './server.ts';
import { openSessions, type UserSession } from './sessions.ts';
import { openStore } from './store.ts';

export type IdentityProviderOptions = {
  /** The certificate of the workload `identity-provider`, and the CA of its clients (PEM). */
  tls: ServerCertificate;
  /** Port on 127.0.0.1; a free one when left out. The issuer names it, so a restart has to name it again. */
  port?: number;
  realm: Realm;
  profile?: ProfileName;
  /** Keeps keys, sessions, consents and offline tokens across restarts. */
  dataDir?: string;
  /** What stands before the realm, for tests of a provider that fails. */
  between?: Between;
};

/** What a running identity provider offers beyond its HTTP surface: what its administrator can do. */
export type RunningIdentityProvider = {
  issuer: string;
  /** Ends all logins of a user: back-channel calls go out, and tokens issued before are stale. */
  logoutUser(username: string): Promise<void>;
  /** Withdraws a user's consent to a client, and with it the offline tokens. */
  withdrawConsent(username: string, clientId: string): Promise<void>;
  close(): Promise<void>;
};

/** The development provider also tells what became of its back-channel calls, and can let time pass. */
export type DevelopmentIdentityProvider = RunningIdentityProvider & {
  logoutDeliveries: readonly LogoutDelivery[];
  /** Ends a user's offline sessions at a client as their idle time would: nobody is told. */
  expireOfflineSessions(username: string, clientId: string): void;
  /** Another certificate, and other anchors, for the connections of from now on. */
  rotate(tls: ServerCertificate): void;
};

/**
 * Starts the development identity provider: one realm on Keycloak's addresses, over TLS on loopback, behaving as
 * Keycloak 26.7 where the two can be told apart.
 * @throws RealmRefused when the realm breaks a rule; the error of `listen` when the port is taken
 */
export async function startIdentityProvider(options: IdentityProviderOptions): Promise<DevelopmentIdentityProvider> {
  const { realm, tls } = options;
  assertRealm(realm);
  const profile = profileNamed(options.profile ?? 'fedramp-moderate');
  const port = options.port ?? (await freePort());
  const issuer = `https://127.0.0.1:${port}/realms/${realm.name}`;
  const nowSeconds = () => Math.floor(Date.now() / 1000);

  const store = openStore(options.dataDir);
  let sender = openLogoutSender(tls.ca);
  const deliveries: LogoutDelivery[] = [];
  const clients = new Map(realm.clients.map((client) => [client.clientId, client]));
  const byId = new Map(realm.users.map((user) => [user.id, user]));
  const byName = new Map(realm.users.map((user) => [user.username, user]));
  const state: ProviderState = {
    issuer,
    realm,
    profile,
    keys: await openKeys(store),
    sessions: openSessions(store, profile, nowSeconds),
    client: (clientId) => clients.get(clientId),
    userById: (sub) => byId.get(sub),
    userByName: (username) => byName.get(username),
    announceLogout: async (session, clientIds = Object.keys(session.clients)) =>
      void deliveries.push(...(await sender.announce(state, session, clientIds))),
    forgetBrowser: async (sid) => (await provider.Session.findByUid(sid))?.destroy(),
    nowSeconds,
  };
  const provider = openFrontChannel(state, store);
  const server = createRealmServer(state, provider, tls, options.between);
  server.listen(port, '127.0.0.1');
  await once(server, 'listening');

  const userNamed = (username: string) => {
    const user = byName.get(username);
    if (!user) throw new RangeError(`no such user: ${username}`);
    return user;
  };
  return {
    issuer,
    logoutDeliveries: deliveries,
    expireOfflineSessions: (username, clientId) => {
      const { id } = userNamed(username);
      for (const { sid } of state.sessions.ofUser('offline', id)) state.sessions.detach('offline', sid, clientId);
    },
    rotate: ({ cert, key, ca }) => {
      server.setSecureContext({ cert, key, ca, minVersion: 'TLSv1.2' });
      void sender.close();
      sender = openLogoutSender(ca);
    },
    logoutUser: async (username) => {
      const { id } = userNamed(username);
      state.sessions.raiseNotBefore(id);
      for (const { sid } of state.sessions.ofUser('online', id)) await endLogin(state, sid);
    },
    withdrawConsent: async (username, clientId) => {
      const { id } = userNamed(username);
      state.sessions.consents.withdraw(id, clientId);
      const told = new Map<string, UserSession>();
      for (const kind of ['online', 'offline'] as const) {
        for (const session of state.sessions.ofUser(kind, id).filter(({ clients: own }) => own[clientId])) {
          state.sessions.detach(kind, session.sid, clientId);
          told.set(session.sid, session);
        }
      }
      for (const session of told.values()) await state.announceLogout(session, [clientId]);
    },
    close: async () => {
      server.close();
      server.closeAllConnections();
      await sender.close();
      store.close();
    },
  };
}
