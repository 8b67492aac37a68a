/** The tables as Kysely sees them; held to the migrations by the integration tests. */
export type ApprovalState = 'pending' | 'approved' | 'denied' | 'expired' | 'consumed';

export type Schema = {
  approvals: {
    id: string;
    binding: string;
    tenant: string;
    person_issuer: string;
    person_sub: string;
    /** Only while it is pending. */
    person_name: string | null;
    actors: string[];
    workload: string;
    /** The first that was named; the others stand in `more_audiences`. */
    audience: string;
    more_audiences: string[];
    scopes: string[];
    policy_version: string;
    justification: string | null;
    state: ApprovalState;
    persons_needed: number;
    approved_scopes: string[] | null;
    interval_seconds: number;
    polled_at: Date;
    created_at: Date;
    expires_at: Date;
    ended_at: Date | null;
  };
  approval_decisions: {
    approval_id: string;
    person_issuer: string;
    person_sub: string;
    decision: 'approved' | 'denied';
    scopes: string[];
    reason: string | null;
    decided_at: Date;
  };
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
    more_audiences: string[];
    scopes: string[];
    held_by: string;
    policy_version: string;
    decided_by: string;
    expires_at: Date;
    created_at: Date;
    actor_token: string | null;
    actor_token_issuer: string | null;
    token_issuer: string | null;
    token_id: string | null;
  };
  compromised_workloads: {
    name: string;
    client: string;
    tenant: string;
    reason: string | null;
    made_by: string;
    since: Date;
    log_closed_at: Date | null;
  };
};
