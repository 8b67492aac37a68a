import { type ColumnType, type Generated } from 'kysely';
import { type ProviderKind } from '../providers/provider-kind.ts';
import { type Verb } from '../secrets/verbs.ts';
import { type UseDefinition } from '../secrets/use/use-definition.ts';
import { type ValueType } from '../secrets/secret-value.ts';

export type Role = 'admin' | 'user';
export type SecretState = 'creating' | 'live' | 'disabled' | 'deleted';
export type WriteOperation =
  | 'create'
  | 'put'
  | 'disable'
  | 'enable'
  | 'disable_version'
  | 'enable_version'
  | 'delete'
  | 'recover'
  | 'destroy'
  | 'tag';

/** `jsonb`: read as a value, written as text; it has a default. */
type Json<T> = ColumnType<T, string | undefined, string>;

/** The tables as Kysely sees them; held to the migrations by the integration tests. `bigint` comes as text. */
export type Schema = {
  companies: { tenant: string; name: string; created_at: Date };
  accounts: {
    id: string;
    tenant: string;
    email: string;
    contact_name: string | null;
    phone_number: string | null;
    role: Role;
    password_hash: string;
    state: Generated<'active' | 'disabled'>;
    bcrypt_cost: number | null;
    created_at: Date;
  };
  former_passwords: { account: string; password_hash: string; replaced_at: Date };
  invitations: {
    id: string;
    tenant: string;
    email: string;
    role: Role;
    token_digest: Buffer;
    created_at: Date;
    expires_at: Date;
    used_at: Date | null;
  };
  sessions: {
    id: string;
    account: string;
    holder: string;
    factor: boolean;
    refresh_digest: Buffer;
    started_at: Date;
    idle_at: Date;
    ends_at: Date;
  };
  session_tokens: { token_id: string; session: string; expires_at: Date };
  used_refresh_tokens: { digest: Buffer; session: string };
  factors: { account: string; sealed: Buffer; confirmed_at: Date | null; created_at: Date };
  recovery_codes: { account: string; digest: Buffer };
  login_failures: { email_digest: Buffer; failures: number; last_at: Date };
  providers: { tenant: string; kind: ProviderKind; configuration: string | null; configured_at: Date };
  provider_configurations: {
    id: string;
    tenant: string;
    name: string;
    kind: Exclude<ProviderKind, 'crypto-store'>;
    settings: Json<Record<string, string>>;
    sealed: Buffer | null;
    generation: Generated<string>;
    configured_at: Date;
    checked_at: Date;
  };
  provider_defaults: { tenant: string; owner_issuer: string; owner_sub: string; configuration: string | null };
  secrets: {
    id: string;
    tenant: string;
    owner_issuer: string;
    owner_sub: string;
    name: string;
    provider: ProviderKind;
    reference: string;
    /** The tenant's configuration of the provider; null: the embedded crypto-store. */
    configuration: string | null;
    state: Generated<SecretState>;
    version: Generated<number>;
    type: Generated<ValueType>;
    provider_version: string | null;
    fingerprint: Buffer | null;
    generation: Generated<string>;
    description: Generated<string>;
    tags: Json<Record<string, string>>;
    labels: Json<Record<string, number>>;
    expires_at: Date | null;
    rotate_days: number | null;
    rotate_at: Date | null;
    reminded_at: Date | null;
    cache_seconds: Generated<number>;
    stale_seconds: Generated<number>;
    deleted_at: Date | null;
    idempotency_key: string | null;
    idempotency_request: Buffer | null;
    created_at: Date;
    updated_at: Date;
  };
  /** Of tenants that have a quota. */
  secret_counts: { tenant: string; secrets: string };
  secret_versions: {
    secret_id: string;
    version: number;
    provider_version: string;
    fingerprint: Buffer;
    type: ValueType;
    bytes: number | null;
    state: Generated<'enabled' | 'disabled'>;
    public_key: string | null;
    created_at: Date;
  };
  secret_moves: {
    id: string;
    tenant: string;
    started_by_issuer: string;
    started_by_sub: string;
    from_kind: ProviderKind;
    from_configuration: string | null;
    to_kind: ProviderKind;
    to_configuration: string | null;
    sealed_token: Buffer | null;
    created_at: Date;
  };
  secret_move_items: {
    move_id: string;
    secret_id: string;
    state: Generated<'planned' | 'copying' | 'switched' | 'failed' | 'rolled_back' | 'finished'>;
    reason: string | null;
    attempt: string | null;
    new_reference: string | null;
    old_reference: string | null;
    old_provider_version: string | null;
    old_versions: ColumnType<unknown, string | null, string | null>;
  };
  provider_writes: {
    id: string;
    secret_id: string;
    tenant: string;
    operation: WriteOperation;
    version: number | null;
    fingerprint: Buffer | null;
    type: ValueType | null;
    bytes: number | null;
    public_key: string | null;
    started_at: Date;
    sealed_token: Buffer | null;
    /** Of a change of tags: what its owner said, dates as text. */
    settings: ColumnType<Record<string, unknown> | null, string | null, string | null>;
    outcome: 'done' | 'refused' | null;
    settled_at: Date | null;
  };
  secret_grants: { secret_id: string; grantee_issuer: string; grantee_sub: string; verbs: Verb[]; granted_at: Date };
  secret_uses: {
    secret_id: string;
    definition: ColumnType<UseDefinition, string, string>;
    generation: Generated<string>;
    defined_at: Date;
  };
};
