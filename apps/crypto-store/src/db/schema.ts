import { type Generated, type GeneratedAlways } from 'kysely';

/** The tables as Kysely sees them; held to the migrations by the integration tests. `bigint` comes as text. */
export type Schema = {
  records: {
    id: string;
    tenant: string;
    namespace: string;
    address: Buffer;
    sealed_key: Buffer;
    /** The branch key version that `sealed_key` names. */
    key_version: GeneratedAlways<string | null>;
    version: string;
    /** `infinity` comes as a number. */
    live_until: Generated<Date | number>;
    keep_versions: number;
    match_required: Generated<boolean>;
    created_at: Date;
    updated_at: Date;
  };
  record_versions: {
    record_id: string;
    version: string;
    /** Null once destroyed. */
    sealed: Buffer | null;
    /** The branch key version that `sealed` names. */
    key_version: GeneratedAlways<string | null>;
    bytes: number;
    created_at: Date;
    expires_at: Date | null;
    deleted_at: Date | null;
    destroyed_at: Date | null;
    live_until: GeneratedAlways<Date | number>;
  };
  /** Of tenants with a quota. */
  record_counts: { tenant: string; records: string };
  record_prefixes: { tenant: string; prefix: Buffer; record_id: string };
  record_writes: {
    idempotency_key: string;
    request: string;
    record_id: string;
    version: string;
    created: boolean;
    written_at: Date;
    /** The code of the problem, where nothing was written. */
    refused: string | null;
  };
};
