import type { MigrationSet } from '@postern/postgres';

/**
 * The tables of the outbox, in each service's own database. `audit_groups` holds events until they are numbered,
 * `audit_batches` from then until the log provably has them; `audit_producer` is the one row under whose lock numbers are
 * given (R22); `audit_witness` is what this service saw of the log (R27); `audit_intents` are effects under way (R23).
 */
export const outboxMigrations: MigrationSet = {
  set: 'outbox',
  steps: {
    '0001-outbox': `
      create table audit_outbox (
        id uuid primary key,
        action text not null,
        salt bytea not null check (octet_length(salt) = 32),
        canonical bytea not null,
        created_at timestamptz not null default now(),
        epoch integer,
        seq bigint,
        previous bytea,
        hash bytea,
        check ((seq is null) = (epoch is null) and (seq is null) = (previous is null) and (seq is null) = (hash is null))
      );
      create index audit_outbox_unnumbered on audit_outbox (id) where seq is null;
      create unique index audit_outbox_sequence on audit_outbox (epoch, seq) where seq is not null;

      create table audit_producer (
        producer text primary key,
        epoch integer not null,
        seq bigint not null,
        hash bytea not null check (octet_length(hash) = 32),
        cluster text not null
      );

      create table audit_witness (
        producer text primary key references audit_producer,
        log_key text not null,
        checkpoint text not null,
        tree_size bigint not null,
        epoch integer not null,
        seq bigint not null,
        seen_at timestamptz not null default now()
      );
    `,
    // An event is written twice in its life here, not four times: numbering deletes its row and adds it to a batch, which is
    // one row, never updated. Its text is not compressed: it is base64 of what was made to be random or is short.
    '0002-batches': `
      create table audit_batches (
        epoch integer not null,
        first bigint not null,
        last bigint not null check (last >= first),
        previous bytea not null check (octet_length(previous) = 32),
        hash bytea not null check (octet_length(hash) = 32),
        ids uuid[] not null,
        entries text not null,
        created_at timestamptz not null default now(),
        primary key (epoch, last)
      );
      alter table audit_batches alter column entries set storage external, alter column ids set storage external;

      insert into audit_batches (epoch, first, last, previous, hash, ids, entries, created_at)
      select epoch, seq, seq, previous, hash, array[id], json_build_array(json_build_object('id', id, 'action', action,
        'salt', translate(encode(salt, 'base64'), E'+/=\\n', '-_'),
        'event', translate(encode(canonical, 'base64'), E'+/=\\n', '-_'))), created_at
      from audit_outbox where seq is not null;
      delete from audit_outbox where seq is not null;

      alter table audit_outbox drop column epoch, drop column seq, drop column previous, drop column hash,
        set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 5000);
    `,
    // A group commit is one row: its events one after the other, packed. What an event costs here is a share of a row. The
    // view shows them as events again, for people.
    '0003-groups': `
      create table audit_groups (
        -- order of numbering: whoever was acknowledged before another began has the smaller one
        number bigint generated always as identity primary key,
        -- of the group; repeated where nobody knows whether it was committed (R23)
        id uuid not null unique,
        count integer not null check (count > 0),
        body bytea not null,
        -- places of events whose guard did not hold (R32): they were not recorded
        stale integer[],
        created_at timestamptz not null default now()
      );
      alter table audit_groups alter column body set storage external,
        set (autovacuum_vacuum_scale_factor = 0, autovacuum_vacuum_threshold = 2000);

      create function audit_entries(body bytea, stale integer[])
      returns table (id uuid, action text, salt bytea, canonical bytea) language plpgsql immutable as $$
      declare
        at integer := 1;
        place integer := 0;
        named integer;
        size integer;
      begin
        while at <= octet_length(body) loop
          named := get_byte(body, at + 15);
          id := encode(substr(body, at, 16), 'hex')::uuid;
          action := convert_from(substr(body, at + 17, named), 'UTF8');
          salt := substr(body, at + 17 + named, 32);
          at := at + 17 + named + 32;
          size := (get_byte(body, at - 1) << 24) + (get_byte(body, at) << 16) + (get_byte(body, at + 1) << 8)
            + get_byte(body, at + 2);
          canonical := substr(body, at + 4, size);
          at := at + 4 + size;
          place := place + 1;
          if stale is null or place <> all (stale) then return next; end if;
        end loop;
      end $$;

      create function audit_packed(id uuid, action text, salt bytea, canonical bytea) returns bytea
      language sql immutable as $$
        select uuid_send(id) || set_byte('\\x00'::bytea, 0, octet_length(action)) || convert_to(action, 'UTF8') || salt
          || int4send(octet_length(canonical)) || canonical
      $$;

      insert into audit_groups (id, count, body, created_at)
      select id, 1, audit_packed(id, action, salt, canonical), created_at from audit_outbox order by id;
      drop table audit_outbox;
      create view audit_outbox as
        select e.id, e.action, e.salt, e.canonical, g.created_at
        from audit_groups g, audit_entries(g.body, g.stale) e;

      alter table audit_batches rename to audit_batches_before;
      create table audit_batches (
        epoch integer not null,
        first bigint not null,
        last bigint not null check (last >= first),
        previous bytea not null check (octet_length(previous) = 32),
        hash bytea not null check (octet_length(hash) = 32),
        -- the groups whose events these are
        groups uuid[] not null,
        -- packed entries as they are sent: compressed where shorter than \`bytes\`
        content bytea not null,
        bytes integer not null,
        created_at timestamptz not null default now(),
        primary key (epoch, last)
      );
      alter table audit_batches alter column content set storage external;
      insert into audit_batches (epoch, first, last, previous, hash, groups, content, bytes, created_at)
      select epoch, first, last, previous, hash, ids, packed, octet_length(packed), created_at
      from audit_batches_before b, lateral (
        select string_agg(audit_packed((e.value ->> 'id')::uuid, e.value ->> 'action',
          decode(rpad(translate(e.value ->> 'salt', '-_', '+/'), 44, '='), 'base64'),
          decode(rpad(translate(e.value ->> 'event', '-_', '+/'), (length(e.value ->> 'event') + 3) / 4 * 4, '='), 'base64')
        ), ''::bytea order by e.place) as packed
        from json_array_elements(b.entries::json) with ordinality as e(value, place)) p;
      drop table audit_batches_before;
      drop function audit_packed(uuid, text, bytea, bytea);

      -- intents whose outcome is not recorded yet (R23)
      create table audit_intents (
        id uuid primary key,
        event bytea not null,
        opened_at timestamptz not null default now()
      );
      create index audit_intents_opened_at on audit_intents (opened_at);
    `,
    '0004-trusted-key': `
      alter table audit_witness add column first_key text;
      update audit_witness set first_key = log_key;
      alter table audit_witness alter column first_key set not null;
    `,
  },
};
