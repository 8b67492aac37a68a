import { type Profile } from '@postern/profile';

import { offlineIdleSeconds, offlineMaxSeconds } from './realm.ts';
import { type Store } from './store.ts';

export type SessionKind = 'online' | 'offline';

/** What one client holds in one login: a client session in Keycloak's words. */
export type ClientSession = {
  /** The scope that was asked for at the login. */
  scope: string;
  nonce?: string;
  /** The refresh token used last, how often, and those before it: a use of one of these kills the family. */
  spent?: { id: string; count: number };
  retired: string[];
};

export type UserSession = {
  sid: string;
  sub: string;
  authTime: number;
  acr: string;
  startedAt: number;
  usedAt: number;
  clients: Record<string, ClientSession>;
};

export type Sessions = ReturnType<typeof openSessions>;

/**
 * The realm's logins: online ones end with the browser's session, offline ones live on for the holder of an offline
 * token. Tokens hold nothing back: whether one is good is asked here, by `sid` and client.
 */
export function openSessions(store: Store, profile: Profile, nowSeconds: () => number) {
  const key = (kind: SessionKind, sid: string) => `session:${kind}:${sid}`;
  const limits = {
    online: { idle: profile.sessionIdleMinutes * 60, max: profile.sessionMaxMinutes * 60 },
    offline: { idle: offlineIdleSeconds, max: offlineMaxSeconds },
  };

  const find = (kind: SessionKind, sid: string): UserSession | undefined => {
    const session = store.get<UserSession>(key(kind, sid));
    if (!session) return undefined;
    const { idle, max } = limits[kind];
    const ended = session.usedAt + idle <= nowSeconds() || session.startedAt + max <= nowSeconds();
    return ended ? undefined : session;
  };
  const save = (kind: SessionKind, session: UserSession) => {
    session.usedAt = nowSeconds();
    store.set(key(kind, session.sid), session, limits[kind].max);
  };

  return {
    limits,
    find,
    save,
    /** Gives a client its part in a login, which begins here if it is new. */
    attach(
      kind: SessionKind,
      login: Omit<UserSession, 'clients' | 'startedAt' | 'usedAt'>,
      clientId: string,
      part: ClientSession,
    ) {
      const begun: UserSession = { ...login, startedAt: nowSeconds(), usedAt: nowSeconds(), clients: {} };
      const session = find(kind, login.sid) ?? begun;
      session.clients[clientId] = part;
      save(kind, session);
      return session;
    },
    /** Ends one client's part; a login without any client is gone. */
    detach(kind: SessionKind, sid: string, clientId: string) {
      const session = find(kind, sid);
      if (!session) return;
      delete session.clients[clientId];
      if (Object.keys(session.clients).length === 0) store.delete(key(kind, sid));
      else save(kind, session);
    },
    end(kind: SessionKind, sid: string): UserSession | undefined {
      const session = find(kind, sid);
      store.delete(key(kind, sid));
      return session;
    },
    ofUser(kind: SessionKind, sub: string): UserSession[] {
      return store
        .keys(key(kind, ''))
        .map((name) => find(kind, name.slice(key(kind, '').length)))
        .filter((session) => session !== undefined)
        .filter((session) => session.sub === sub);
    },
    /** Tokens of this user made before now are stale. */
    raiseNotBefore(sub: string) {
      store.set(`notBefore:${sub}`, nowSeconds(), offlineMaxSeconds);
    },
    notBefore: (sub: string) => store.get<number>(`notBefore:${sub}`) ?? 0,
    revokeToken(jti: string, exp: number) {
      store.set(`revoked:${jti}`, true, Math.max(1, exp - nowSeconds()));
    },
    isRevoked: (jti: string) => store.get<boolean>(`revoked:${jti}`) === true,
    /** True once for each value until it expires: assertions and proofs are good for a single use. */
    useOnce(kind: string, value: string, lifetimeSeconds: number): boolean {
      const name = `once:${kind}:${value}`;
      if (store.get(name)) return false;
      store.set(name, true, lifetimeSeconds);
      return true;
    },
    consents: {
      of: (sub: string, clientId: string) => store.get<string[]>(`consent:${sub}:${clientId}`) ?? [],
      add: (sub: string, clientId: string, scopes: string[]) => store.set(`consent:${sub}:${clientId}`, scopes),
      withdraw: (sub: string, clientId: string) => store.delete(`consent:${sub}:${clientId}`),
    },
  };
}
