/** The tables as Kysely sees them; held to the migrations by the integration tests. */
export type Schema = {
  tenants: {
    id: string;
    issuer: string | null;
    state: 'active' | 'suspended' | 'offboarded';
    made_by: string;
    created_at: Date;
    changed_at: Date;
  };
  exchanges: {
    id: string;
    parent: string;
    parent_issuer: string;
    subject_kind: string;
    subject_client: string;
    tenant: string;
    person_issuer: string | null;
    person_sub: string | null;
    workload: string;
    actors: string[];
    audience: string;
    scopes: string[];
    held_by: string;
    policy_version: string;
    decided_by: string;
    expires_at: Date;
    created_at: Date;
  };
};
