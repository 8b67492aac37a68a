/**
 * Workloads that are not trusted any more, whatever a policy says of them; a row is deleted when one is taken back.
 * `tenant` is that of the operator who said so, in whose name its log is closed.
 * `log_closed_at` is null until audit-sink has closed its epoch, or has said that it has none.
 */
export const exchanges0005 = `
  create table compromised_workloads (
    name text primary key,
    client text not null,
    tenant text not null,
    reason text,
    made_by text not null,
    since timestamptz not null,
    log_closed_at timestamptz
  );
`;
