import type { ColumnType, Generated } from 'kysely';

/** A bigint column: read as text by `pg`, written as a number or text. */
type BigIntColumn = ColumnType<string, string | number | bigint, string | number | bigint>;

export type GrantState = 'active' | 'reauthorization_required' | 'ended' | 'revoking';
/** `offline` outlives the login at the provider, `refresh` ends with it. */
export type GrantKind = 'offline' | 'refresh';

export type GrantsTable = {
  id: string;
  tenant: string;
  person_issuer: string;
  person_sub: string;
  provider: string;
  client: string;
  session: string;
  kind: GrantKind;
  scopes: string[];
  acr: string | null;
  auth_time: Date | null;
  state: Generated<GrantState>;
  generation: ColumnType<string, number | string | undefined, number | string>;
  sealed_token: Uint8Array | null;
  token_fingerprint: Uint8Array | null;
  confirmed_at: Date;
  created_at: Date;
  updated_at: Date;
  family: Generated<string>;
  attributes: ColumnType<Record<string, string>, string | undefined, string>;
  idle_seconds: number | null;
  due_at: Date | null;
  tries: Generated<number>;
};

export type HandlesTable = {
  id: string;
  grant_id: string;
  workload: string;
  audiences: string[];
  scopes: string[];
  uses: Generated<string>;
  last_used_at: Date | null;
  created_at: Date;
  expires_at: Date | null;
  max_uses: ColumnType<string | null, number | null | undefined, number | null>;
  idempotency_key: string | null;
  idempotency_request: string | null;
};

/** Uses that are not yet added up in `handles.uses`. */
export type HandleUsesTable = { handle_id: string; uses: BigIntColumn; at: Generated<Date> };

export type AttemptState = 'intended' | 'replied' | 'applied' | 'refused' | 'abandoned';

export type RefreshAttemptsTable = {
  id: string;
  grant_id: string;
  generation: BigIntColumn;
  token_fingerprint: Uint8Array;
  deadline: Date;
  state: Generated<AttemptState>;
  sealed_reply: Uint8Array | null;
  created_at: Date;
  finished_at: Date | null;
};

export type ConsentState = 'pending' | 'started' | 'redeeming' | 'completed' | 'denied' | 'failed';

export type ConsentsTable = {
  id: string;
  tenant: string;
  person_issuer: string;
  person_sub: string;
  started_by: string;
  provider: string;
  scopes: string[];
  handle_workload: string;
  handle_audiences: string[];
  handle_scopes: string[];
  return_to: string | null;
  state: Generated<ConsentState>;
  reason: string | null;
  grant_id: string | null;
  state_hash: Uint8Array | null;
  browser_hash: Uint8Array | null;
  sealed_flow: Uint8Array | null;
  created_at: Date;
  expires_at: Date;
  finished_at: Date | null;
  idempotency_key: string | null;
  idempotency_request: string | null;
  purpose: string | null;
  signed_response: Generated<boolean>;
  /** How many grants the tenant may have, as it was asked under; null: there is no quota. */
  most_grants: number | null;
};

export type ProviderKeyUse = 'client' | 'dpop';

export type ProviderKeysTable = {
  provider: string;
  use: ProviderKeyUse;
  sealed_key: Uint8Array;
  created_at: Date;
  /** Empty: the operator's provider. */
  tenant: Generated<string>;
  number: Generated<number>;
  active_from: Generated<Date>;
  retired_at: Date | null;
};

export type ProvidersTable = {
  id: string;
  tenant: string;
  issuer: string;
  client_id: string;
  name: string;
  scopes: string[];
  state: Generated<'active' | 'disabled'>;
  created_at: Date;
  updated_at: Date;
  /** Null where this service proves itself by `private_key_jwt`. */
  sealed_secret: Uint8Array | null;
};

export type RevocationPlansTable = {
  id: string;
  tenant: string;
  made_by: string;
  filter: unknown;
  count: BigIntColumn;
  created_at: Date;
  expires_at: Date;
  job: string | null;
};

export type ProviderTokensTable = {
  grant_id: string;
  asked: Uint8Array;
  family: BigIntColumn;
  scopes: string[];
  sealed_token: Uint8Array;
  renew_at: Date;
  expires_at: Date;
};

export type TenantPausesTable = { tenant: string; provider: string; paused_at: Date; paused_by: string };

export type RestoresTable = { one: Generated<boolean>; marker: string; at: Date | null };

/** Of tenants that have a quota. */
export type GrantCountsTable = { tenant: string; grants: string };

export type Schema = {
  grants: GrantsTable;
  grant_counts: GrantCountsTable;
  handles: HandlesTable;
  handle_uses: HandleUsesTable;
  provider_tokens: ProviderTokensTable;
  tenant_pauses: TenantPausesTable;
  restores: RestoresTable;
  refresh_attempts: RefreshAttemptsTable;
  consents: ConsentsTable;
  provider_keys: ProviderKeysTable;
  providers: ProvidersTable;
  revocation_plans: RevocationPlansTable;
};
