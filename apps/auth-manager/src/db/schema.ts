import type { ColumnType, Generated } from 'kysely';

/** A bigint column: read as text by `pg`, written as a number or text. */
type BigIntColumn = ColumnType<string, string | number | bigint, string | number | bigint>;

export type GrantState = 'active' | 'reauthorization_required' | 'ended' | 'revoking';
export type GrantKind = 'offline' | 'session';

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
};

export type HandlesTable = {
  id: string;
  grant_id: string;
  workload: string;
  audiences: string[];
  scopes: string[];
  uses: Generated<string>;
  created_at: Date;
};

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
};

export type ProviderKeyUse = 'client' | 'dpop';

export type ProviderKeysTable = {
  provider: string;
  use: ProviderKeyUse;
  sealed_key: Uint8Array;
  created_at: Date;
};

export type Schema = {
  grants: GrantsTable;
  handles: HandlesTable;
  refresh_attempts: RefreshAttemptsTable;
  consents: ConsentsTable;
  provider_keys: ProviderKeysTable;
};
