import { type Generated, type GeneratedAlways } from 'kysely';
import { type ProviderKind } from '../providers/provider-kind.ts';

export type Role = 'admin' | 'user';
export type Status = 'success' | 'refused' | 'failed';

/** The tables as Kysely sees them; held to the migrations by the integration tests. `bigint` comes as text. */
export type Schema = {
  companies: { tenant: string; name: string; created_at: Date };
  accounts: {
    id: string;
    tenant: string;
    email: string;
    contact_name: string;
    phone_number: string;
    role: Role;
    password_hash: string;
    created_at: Date;
  };
  login_failures: { email_digest: Buffer; failures: number; last_at: Date };
  providers: { tenant: string; kind: ProviderKind; configured_at: Date };
  secrets: {
    id: string;
    tenant: string;
    owner_issuer: string;
    owner_sub: string;
    name: string;
    provider: ProviderKind;
    reference: string;
    state: Generated<'creating' | 'live'>;
    provider_version: string | null;
    fingerprint: Buffer | null;
    generation: Generated<string>;
    created_at: Date;
    updated_at: Date;
  };
  activity: {
    id: GeneratedAlways<string>;
    tenant: string;
    person_issuer: string;
    person_sub: string;
    action: string;
    secret_name: string | null;
    status: Status;
    at: Date;
  };
};
