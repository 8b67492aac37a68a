import { type CallService, shaped } from './call-service.ts';
import { type CallAs } from './options.ts';

/** Where a secret lies: the provider's own reference and version, never the value. */
export type SecretEntry = {
  id: string;
  name: string;
  provider: string;
  reference: string;
  version: string;
  created_at: string;
};
export type OpenedSecret = SecretEntry & { value: string };

/** A secret with its value: a text, or bytes in base64. `version` is null for one that was written past key-proxy. */
export type SecretVersion = {
  id: string;
  name: string;
  version: number | null;
  value: { text: string } | { base64: string };
};

/** Whose secret, where it is not the caller's own: a person's id, and their issuer where it is another than the caller's. */
export type SecretOwner = { owner?: string; ownerIssuer?: string };

/** One request that a secret shall be used for; what of it is free, the secret's definition says. */
export type SecretUse = {
  method: 'GET' | 'HEAD' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  path: string;
  query?: Record<string, string>;
  headers?: Record<string, string>;
  body?: string;
};

/** What the host answered, as far as the definition gives it out. */
export type SecretUsed = {
  status: number;
  fields: Record<string, string | number | boolean | null>;
  body: string | null;
};

export type Secrets = {
  /** One secret with its value. Scope `secrets:read`. @throws PosternError `secret_not_found`, ... */
  read(name: string, as: CallAs, of?: SecretOwner & { version?: number; label?: string }): Promise<SecretVersion>;
  /** Uses a secret without seeing it. Scope `secrets:use`. @throws PosternError `use_not_allowed`, ... */
  use(name: string, request: SecretUse, as: CallAs, of?: SecretOwner): Promise<SecretUsed>;
  /** Puts a secret into the tenant's provider. Scope `secrets:write`. @throws PosternError `secret_exists`, ... */
  create(secret: { name: string; value: string }, as: CallAs): Promise<SecretEntry>;
  /** The caller's own secrets by name and reference. Scope `secrets:read`. */
  list(as: CallAs): Promise<SecretEntry[]>;
  /** The caller's own secrets with their values; each one read is an event in the log. Scope `secrets:read`. */
  open(as: CallAs): Promise<OpenedSecret[]>;
};

const at = (name: string): string => `/v1/secrets/${encodeURIComponent(name)}`;
const ofOwner = ({ owner, ownerIssuer }: SecretOwner) => ({ owner, owner_issuer: ownerIssuer });

export const createSecrets = (call: CallService): Secrets => ({
  async read(name, as, of = {}) {
    const query = { ...ofOwner(of), version: of.version, label: of.label };
    const answer = await call({ method: 'GET', path: at(name), query, scopes: ['secrets:read'] }, as);
    return shaped<SecretVersion>('key-proxy', answer, 'id', 'name', 'value');
  },
  async use(name, request, as, of = {}) {
    const sent = { method: 'POST', path: `${at(name)}/use`, query: ofOwner(of), body: request } as const;
    return shaped<SecretUsed>('key-proxy', await call({ ...sent, scopes: ['secrets:use'] }, as), 'status', 'fields');
  },
  async create(secret, as) {
    const body = { secret_name: secret.name, secret_value: secret.value };
    const answer = await call({ method: 'POST', path: '/create-secret', body, scopes: ['secrets:write'] }, as);
    return shaped<SecretEntry>('key-proxy', answer, 'id', 'name', 'reference');
  },
  async list(as) {
    const answer = await call({ method: 'GET', path: '/get-all-secrets', scopes: ['secrets:read'] }, as);
    return shaped<{ secrets: SecretEntry[] }>('key-proxy', answer, 'secrets').secrets;
  },
  async open(as) {
    const query = { values: true };
    const answer = await call({ method: 'GET', path: '/get-all-secrets', query, scopes: ['secrets:read'] }, as);
    return shaped<{ secrets: OpenedSecret[] }>('key-proxy', answer, 'secrets').secrets;
  },
});
