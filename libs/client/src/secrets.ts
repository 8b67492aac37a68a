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

export type Secrets = {
  /** Puts a secret into the tenant's provider. Scope `secrets:write`. @throws PosternError `secret_exists`, ... */
  create(secret: { name: string; value: string }, as: CallAs): Promise<SecretEntry>;
  /** The caller's own secrets by name and reference. Scope `secrets:read`. */
  list(as: CallAs): Promise<SecretEntry[]>;
  /** The caller's own secrets with their values; each one read is an event in the log. Scope `secrets:read`. */
  open(as: CallAs): Promise<OpenedSecret[]>;
};

export const createSecrets = (call: CallService): Secrets => ({
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
