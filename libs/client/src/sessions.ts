import { type CallService, shaped } from './call-service.ts';
import { type CallAs } from './options.ts';

/** What was granted in a session. `refresh` ends with it, `offline` outlives it where the profile, or the person, says so. */
export type SessionGrant = {
  id: string;
  kind: 'offline' | 'refresh';
  state: 'active' | 'reauthorization_required';
  scopes: string[];
  created_at: string;
  last_used_at: string | null;
};

/** A login of the person at a provider. `id` is auth-manager's own name for it. */
export type PersonSession = {
  id: string;
  provider: string;
  began_at: string;
  last_used_at: string | null;
  grants: SessionGrant[];
};

/** How many sessions, and grants in them, were ended. */
export type EndedSessions = { sessions: number; grants: number };

/** What becomes of offline grants; as the profile says unless given. */
type Ending = CallAs & { offline?: 'keep' | 'end' };

export type Sessions = {
  /** The person's sessions, with their grants. Scope `grants:read`. */
  list(as: CallAs): Promise<PersonSession[]>;
  /** Ends one: its grants, here and at the provider, and what was minted from it. Scope `grants:write`. */
  end(id: string, as: Ending): Promise<EndedSessions>;
  /** Ends all of them. Scope `grants:write`. */
  endAll(as: Ending): Promise<EndedSessions>;
  /**
   * Where the person's browser logs out at the provider, and comes back to `returnTo`, a page of this client; null where
   * the provider has no such address. Scope `grants:read`.
   */
  endSessionLink(id: string, as: CallAs & { returnTo?: string }): Promise<string | null>;
};

export function createSessions(call: CallService): Sessions {
  const path = (id: string) => `/v1/sessions/${encodeURIComponent(id)}`;
  const end = async (at: string, { offline, ...as }: Ending) => {
    const query = offline === undefined ? {} : { offline };
    const answer = await call({ method: 'DELETE', path: at, query, scopes: ['grants:write'] }, as);
    return shaped<EndedSessions>('auth-manager', answer, 'sessions', 'grants');
  };
  return {
    async list(as) {
      const answer = await call({ method: 'GET', path: '/v1/sessions', scopes: ['grants:read'] }, as);
      return shaped<{ sessions: PersonSession[] }>('auth-manager', answer, 'sessions').sessions;
    },
    end: (id, as) => end(path(id), as),
    endAll: (as) => end('/v1/sessions', as),
    async endSessionLink(id, { returnTo, ...as }) {
      const query = returnTo === undefined ? {} : { return_to: returnTo };
      const at = `${path(id)}/end-session-link`;
      const answer = await call({ method: 'GET', path: at, query, scopes: ['grants:read'] }, as);
      return shaped<{ url: string | null }>('auth-manager', answer, 'url').url;
    },
  };
}
