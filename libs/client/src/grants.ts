import { type CallService, shaped } from './call-service.ts';
import { type CallAs } from './options.ts';

/** What a job may do with the grant: which workload it is, at which services, with which scopes. */
export type Handle = { workload: string; audiences: readonly string[]; scopes: readonly string[] };

export type ConsentRequest = {
  /** What the person is asked for at their provider. */
  scopes: readonly string[];
  handle: Handle;
  /** What it is for, as the person is shown it. */
  purpose?: string;
  /** A page of this client, as auth-manager's operator has listed it, where the browser ends. */
  returnTo?: string;
};

export type StartedConsent = { id: string; consent_url: string; expires_at: string };
export type Consent = {
  id: string;
  /** `pending`, `started`; then `completed`, `denied`, `failed` or `expired`. */
  state: string;
  reason: string | null;
  grant: string | null;
  purpose: string | null;
  scopes: string[];
  handle: Handle;
  expires_at: string;
};
export type Grant = { id: string; state: string; scopes: string[] };

/** A subject token for exchanges: give it with `subjectTokenType: issued_token_type`. */
export type GrantToken = { access_token: string; issued_token_type: string; expires_in: number; scope: string };

/** A handle to be made: until when, and how often it may be used. */
export type NewHandle = Handle & { expiresAt?: Date; maxUses?: number };

/** A handle as the grant's owner sees it. */
export type HandleView = {
  id: string;
  workload: string;
  audiences: string[];
  scopes: string[];
  uses: number;
  max_uses: number | null;
  created_at: string;
  expires_at: string | null;
};

/** A refresh token that the person's application has, of auth-manager's own client at the provider. */
export type StoredToken = {
  refreshToken: string;
  scopes: readonly string[];
  handle?: Handle;
  attributes?: Readonly<Record<string, string>>;
};

const TOKEN_EXCHANGE = 'token-exchange';

export type Grants = {
  /** Starts a consent: the person opens `consent_url` in a browser. Scope `grants:write`. */
  startConsent(request: ConsentRequest, as: CallAs): Promise<StartedConsent>;
  /** What became of a consent; `grant` is set once the person has agreed. Scope `grants:write`. */
  consent(id: string, as: CallAs): Promise<Consent>;
  /** The person's own grants. Scope `grants:read`. */
  list(as: CallAs): Promise<Grant[]>;
  /** A grant token for the job whose certificate this is (R11). Scope `grants:use`. */
  accessToken(id: string, as: CallAs & { scopes?: readonly string[] }): Promise<GrantToken>;
  /** The same by the handle's own id. */
  accessTokenByHandle(handle: string, as: CallAs & { scopes?: readonly string[] }): Promise<GrantToken>;
  /** Stores a refresh token of the person (R18). Scope `grants:write`. */
  store(token: StoredToken, as: CallAs): Promise<Grant>;
  /** Lets a job use a grant. Scope `grants:write`. */
  createHandle(grant: string, handle: NewHandle, as: CallAs): Promise<HandleView>;
  /** Who may use a grant. Scope `grants:read`. */
  handles(grant: string, as: CallAs): Promise<HandleView[]>;
  /** Takes a handle away; the last one ends the grant, also at the provider. Scope `grants:write`. */
  deleteHandle(grant: string, handle: string, as: CallAs): Promise<void>;
  /** Revokes one of the person's own grants, also at the provider. Scope `grants:write`. */
  revoke(id: string, as: CallAs): Promise<void>;
};

const handlesOf = (grant: string) => `/v1/grants/${encodeURIComponent(grant)}/handles`;

export const createGrants = (call: CallService): Grants => ({
  async startConsent({ scopes, handle, purpose, returnTo }, as) {
    const body = { scopes, handle, purpose, return_to: returnTo };
    const answer = await call({ method: 'POST', path: '/v1/consents', body, scopes: ['grants:write'] }, as);
    return shaped<StartedConsent>('auth-manager', answer, 'id', 'consent_url');
  },
  async consent(id, as) {
    const path = `/v1/consents/${encodeURIComponent(id)}`;
    const answer = await call({ method: 'GET', path, scopes: ['grants:write'] }, as);
    return shaped<Consent>('auth-manager', answer, 'id', 'state');
  },
  async list(as) {
    const answer = await call({ method: 'GET', path: '/v1/grants', scopes: ['grants:read'] }, as);
    return shaped<{ grants: Grant[] }>('auth-manager', answer, 'grants').grants;
  },
  async accessToken(id, as) {
    const path = `/v1/grants/${encodeURIComponent(id)}/access-token`;
    const body = { audience: TOKEN_EXCHANGE, scopes: as.scopes };
    const answer = await call({ method: 'POST', path, body, scopes: ['grants:use'] }, as);
    return shaped<GrantToken>('auth-manager', answer, 'access_token', 'issued_token_type', 'expires_in');
  },
  async accessTokenByHandle(handle, as) {
    const path = `/v1/handles/${encodeURIComponent(handle)}/access-token`;
    const body = { audience: TOKEN_EXCHANGE, scopes: as.scopes };
    const answer = await call({ method: 'POST', path, body, scopes: ['grants:use'] }, as);
    return shaped<GrantToken>('auth-manager', answer, 'access_token', 'issued_token_type', 'expires_in');
  },
  async store({ refreshToken, ...token }, as) {
    const body = { refresh_token: refreshToken, ...token };
    const answer = await call({ method: 'POST', path: '/v1/grants', body, scopes: ['grants:write'] }, as);
    return shaped<Grant>('auth-manager', answer, 'id', 'state');
  },
  async createHandle(grant, { expiresAt, maxUses, ...handle }, as) {
    const body = { ...handle, expires_at: expiresAt?.toISOString(), max_uses: maxUses };
    const answer = await call({ method: 'POST', path: handlesOf(grant), body, scopes: ['grants:write'] }, as);
    return shaped<HandleView>('auth-manager', answer, 'id', 'workload');
  },
  async handles(grant, as) {
    const answer = await call({ method: 'GET', path: handlesOf(grant), scopes: ['grants:read'] }, as);
    return shaped<{ handles: HandleView[] }>('auth-manager', answer, 'handles').handles;
  },
  async deleteHandle(grant, handle, as) {
    const path = `${handlesOf(grant)}/${encodeURIComponent(handle)}`;
    await call({ method: 'DELETE', path, scopes: ['grants:write'] }, as);
  },
  async revoke(id, as) {
    const path = `/v1/grants/${encodeURIComponent(id)}`;
    await call({ method: 'DELETE', path, scopes: ['grants:write'] }, as);
  },
});
