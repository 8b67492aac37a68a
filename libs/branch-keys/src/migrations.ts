/** The tables of this library, as `@postern/postgres` takes them. */
export const branchKeyMigrations = {
  set: 'branch-keys',
  steps: {
    '0001-branch-keys': `
      create table branch_key_owners (
        tenant text not null,
        purpose text not null,
        branch_key_id text not null unique,
        primary key (tenant, purpose)
      );
      create table branch_keys (
        branch_key_id text not null references branch_key_owners (branch_key_id),
        type text not null check (type in ('branch:ACTIVE', 'beacon:ACTIVE') or type like 'branch:version:%'),
        version text,
        enc bytea not null,
        kms_arn text not null,
        create_time text not null,
        tenant text not null,
        service text not null,
        purpose text not null,
        environment text not null,
        primary key (branch_key_id, type),
        check ((type = 'branch:ACTIVE') = (version is not null))
      );
    `,
  },
};
