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
    '0002-key-states': `
      alter table branch_key_owners
        add column state text not null default 'enabled' check (state in ('enabled', 'disabled', 'destroying', 'destroyed')),
        add column minimum_decrypt_version integer not null default 1 check (minimum_decrypt_version >= 1),
        add column rotation_days integer check (rotation_days between 1 and 3650),
        add column rotation_leased_until timestamptz;
      create table branch_key_versions (
        version uuid primary key,
        branch_key_id text not null references branch_key_owners (branch_key_id),
        number integer not null check (number >= 1),
        state text not null check (state in ('active', 'decrypt-only', 'disabled', 'destroyed')),
        created_at timestamptz not null,
        changed_at timestamptz not null,
        unique (branch_key_id, number)
      );
      create unique index branch_key_versions_active on branch_key_versions (branch_key_id) where state = 'active';
      insert into branch_key_versions (version, branch_key_id, number, state, created_at, changed_at)
      select substr(k.type, 16)::uuid, k.branch_key_id,
             row_number() over (partition by k.branch_key_id order by k.create_time, k.type = a.version, k.type),
             case when k.type = a.version then 'active' else 'decrypt-only' end,
             k.create_time::timestamptz, k.create_time::timestamptz
        from branch_keys k join branch_keys a on a.branch_key_id = k.branch_key_id and a.type = 'branch:ACTIVE'
       where k.type like 'branch:version:%';
    `,
    // Where the version stands in a message's header: `@postern/envelope` header.ts. The function names it without opening
    // anything, so that a table of messages can have it as a generated column that can never say something else.
    '0003-sealed-key-version': `
      create function sealed_key_version(sealed bytea) returns uuid
        language sql immutable strict parallel safe
        return case
          when octet_length(sealed) < 60 then null
          when octet_length(sealed) < 60 + get_byte(sealed, 35) * 256 + get_byte(sealed, 36) then null
          when octet_length(sealed) < 106 + get_byte(sealed, 35) * 256 + get_byte(sealed, 36)
                 + get_byte(sealed, 58 + get_byte(sealed, 35) * 256 + get_byte(sealed, 36)) * 256
                 + get_byte(sealed, 59 + get_byte(sealed, 35) * 256 + get_byte(sealed, 36)) then null
          else encode(substring(sealed from 91 + get_byte(sealed, 35) * 256 + get_byte(sealed, 36)
                 + get_byte(sealed, 58 + get_byte(sealed, 35) * 256 + get_byte(sealed, 36)) * 256
                 + get_byte(sealed, 59 + get_byte(sealed, 35) * 256 + get_byte(sealed, 36)) for 16), 'hex')::uuid
        end;
    `,
    '0004-destruction': `
      -- From then on no memory can hold the version any more, and its wrapped key goes (R33).
      alter table branch_key_versions add column destroy_after timestamptz;
      create index branch_key_versions_to_destroy on branch_key_versions (destroy_after) where state = 'disabled';
    `,
    // Tenants that are denied for ever (R33), and what became of what the service held of them.
    '0005-ended-tenants': `
      create table ended_tenants (
        tenant text primary key,
        -- Null where only the list outside the database has told of it, after a restore.
        destruction uuid,
        denied_at timestamptz not null,
        -- No replica serves from memory what it knew of the tenant any more.
        remove_after timestamptz not null,
        -- Rows removed so far, by table.
        removed json not null default '{}',
        keys integer not null default 0,
        destroyed_at timestamptz
      );
    `,
  },
};
