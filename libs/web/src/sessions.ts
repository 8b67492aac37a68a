import { personName, type Principal, type Revocations } from '@postern/oidc';
import type { Query } from '@postern/postgres';
import type { Profile } from '@postern/profile';
import { problem, Secret, type Now } from '@postern/runtime';
import { csrfTokenOf, digestOf, newSessionValue, sessionValueIn } from './cookies.ts';

/** Somebody who is signed in. */
export type WebSession = {
  /** As the login's access token said it; it holds no token, and its scopes are none. */
  principal: Principal;
  /** What the provider calls them; to be shown, and to decide nothing by. */
  name: string | null;
  /** For the forms of this session. */
  csrf: string;
  digest: Buffer;
  expiresAt: Date;
};

export type Sessions = {
  /** Begins a session, in the transaction of its event. Returns the cookie's value. */
  begin(query: Query, login: Principal): Promise<string>;
  /**
   * The session of a request, if it lives: used within the idle time, not too old, not revoked (R14).
   * @throws Problem `revocation_unavailable` where this replica cannot tell
   */
  find(cookies: ReadonlyMap<string, string>): Promise<WebSession | null>;
  end(query: Query, session: WebSession): Promise<void>;
  /** Ends the sessions of a login or, without one, of a person; returns how many. */
  endOf(
    query: Query,
    logout: { issuer: string; sub?: string | undefined; sessionId?: string | undefined },
  ): Promise<number>;
  /** Forgets those whose time is over. */
  forget(): Promise<void>;
};

export type SessionDeps = {
  query: Query;
  profile: Pick<Profile, 'sessionIdleMinutes' | 'sessionMaxMinutes'>;
  revocations: Revocations;
  now: Now;
};

type Row = {
  digest: Buffer;
  tenant: string;
  issuer: string;
  sub: string;
  client: string;
  roles: string[];
  provider_session: string | null;
  token_id: string;
  key_id: string;
  acr: string | null;
  name: string | null;
  issued_at: string;
  seen_at: Date;
  expires_at: Date;
};

const MINUTE_MS = 60_000;

/** Sessions in Postgres, which every replica sees (R17). Roles are those of the login: they last as long as the session. */
export function openSessions({ query, profile, revocations, now }: SessionDeps): Sessions {
  const idleMs = profile.sessionIdleMinutes * MINUTE_MS;
  return {
    async begin(within, { tenant, person, clientId, roles, sessionId, tokenId, keyId, claims }) {
      if (person === null) throw new TypeError('a session is a person’s');
      const value = newSessionValue();
      const at = now();
      const acr = claims['acr'];
      await within(
        `insert into web_sessions (digest, tenant, issuer, sub, client, roles, provider_session, token_id, key_id, acr, issued_at, created_at, seen_at, expires_at, name)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $12, $13, $14)`,
        [
          digestOf(value),
          tenant,
          person.issuer,
          person.sub,
          clientId,
          [...roles],
          sessionId ?? null,
          tokenId,
          keyId,
          typeof acr === 'string' ? acr : null,
          claims.iat ?? 0,
          at,
          new Date(at.getTime() + profile.sessionMaxMinutes * MINUTE_MS),
          personName(claims),
        ],
      );
      return value;
    },
    async find(cookies) {
      const value = sessionValueIn(cookies);
      if (value === undefined) return null;
      const at = now();
      const [row] = await query<Row>(
        'select * from web_sessions where digest = $1 and expires_at > $2 and seen_at > $3',
        [digestOf(value), at, new Date(at.getTime() - idleMs)],
      );
      if (!row) return null;
      const principal = principalOf(row);
      const state = await revocations.stateOf(principal);
      if (state === 'unknown') throw problem('revocation_unavailable', { retryAfterSeconds: 1 });
      if (state === 'revoked') return null;
      // To the minute: a page that is read again writes nothing.
      if (at.getTime() - row.seen_at.getTime() > MINUTE_MS) {
        await query('update web_sessions set seen_at = greatest(seen_at, $2) where digest = $1', [row.digest, at]);
      }
      return { principal, name: row.name, csrf: csrfTokenOf(value), digest: row.digest, expiresAt: row.expires_at };
    },
    async end(within, { digest }) {
      await within('delete from web_sessions where digest = $1', [digest]);
    },
    async endOf(within, { issuer, sub, sessionId }) {
      if (sub === undefined && sessionId === undefined) return 0;
      const rows = await within(
        `delete from web_sessions where issuer = $1 and ($2::text is null or sub = $2)
         and ($3::text is null or provider_session = $3) returning 1`,
        [issuer, sub ?? null, sessionId ?? null],
      );
      return rows.length;
    },
    async forget() {
      const at = now();
      await query('delete from web_sessions where expires_at <= $1 or seen_at <= $2', [
        at,
        new Date(at.getTime() - idleMs),
      ]);
    },
  };
}

const principalOf = (row: Row): Principal => ({
  tenant: row.tenant,
  kind: 'provider-access',
  issuer: row.issuer,
  person: { issuer: row.issuer, sub: row.sub },
  clientId: row.client,
  workload: null,
  scopes: new Set(),
  roles: new Set(row.roles),
  ...(row.provider_session !== null && { sessionId: row.provider_session }),
  tokenId: row.token_id,
  keyId: row.key_id,
  actors: [],
  binding: { kind: 'none' },
  expiresAt: row.expires_at,
  claims: { iat: Number(row.issued_at), ...(row.acr !== null && { acr: row.acr }) },
  token: new Secret(''),
});
