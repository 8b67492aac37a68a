import { type GeneratedAlways } from 'kysely';

/** The tables as Kysely sees them; held to the migrations by the integration tests. `bigint` comes as text. */
export type Schema = {
  records: {
    id: string;
    tenant: string;
    namespace: string;
    key: string;
    version: string;
    sealed: Buffer;
    /** The branch key version that `sealed` names. */
    key_version: GeneratedAlways<string | null>;
    created_at: Date;
    updated_at: Date;
    deleted_at: Date | null;
  };
};
