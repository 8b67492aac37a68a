import { type MigrationSet } from '@postern/postgres';

/** What the state of keys and their change ask of this service's tables; it comes after the records and the branch keys. */
export const keyMigrations: MigrationSet = {
  set: 'keys',
  steps: {
    '0001-record-key-version': `
      alter table records add column key_version uuid generated always as (sealed_key_version(sealed)) stored;
      create index records_by_key_version on records (key_version);
    `,
    '0002-certificates-and-destructions': `
      create table key_certificates (
        id uuid primary key,
        tenant text not null,
        branch_key_id text not null references branch_key_owners (branch_key_id),
        versions uuid[] not null,
        certificate text not null,
        created_at timestamptz not null
      );
      create index key_certificates_of_key on key_certificates (branch_key_id, created_at);
      create table key_destructions (
        id uuid primary key,
        tenant text not null,
        state text not null check (state in ('requested', 'approved', 'denied', 'destroyed', 'cancelled')),
        requested_by text not null,
        requested_at timestamptz not null,
        approved_by text,
        approved_at timestamptz,
        not_before timestamptz,
        denied_until timestamptz,
        destroyed_at timestamptz,
        complete_after timestamptz,
        check (approved_by is null or approved_by <> requested_by)
      );
      create unique index key_destructions_open on key_destructions (tenant) where state in ('requested', 'approved', 'denied');
    `,
    // What each of the five services said of a destruction (R33); nothing until `answered_at`.
    '0003-destruction-services': `
      create table destruction_services (
        destruction uuid not null references key_destructions,
        service text not null,
        told_at timestamptz not null,
        answered_at timestamptz,
        denied_at timestamptz,
        destroyed_at timestamptz,
        removed json,
        keys integer,
        listed boolean,
        primary key (destruction, service)
      );
      create index destruction_services_silent on destruction_services (told_at) where answered_at is null;
      -- Destructions that an earlier release began reached this service alone, and wait for this service alone.
      insert into destruction_services (destruction, service, told_at)
        select id, 'crypto-store', approved_at from key_destructions where state = 'denied';
      insert into ended_tenants (tenant, destruction, denied_at, remove_after)
        select tenant, id, now(), denied_until from key_destructions where state = 'denied' on conflict do nothing;
    `,
  },
};
