import type { MigrationSet } from '@postern/postgres';
import { runsStep } from './log-runs.ts';

/**
 * The log. `log_runs` holds the leaves, one row a batch, and `log_tiles` the hashes above them; both are only ever added to.
 * `log_events` holds what may be searched and erased (R28): the event and the salt without which its leaf says nothing, sealed
 * under the key of whom it is about in `log_subjects`.
 */
export const logMigrations: MigrationSet = {
  set: 'log',
  steps: {
    '0001-log': `
      create table log_head (
        only_row boolean primary key default true check (only_row),
        size bigint not null,
        root bytea not null check (octet_length(root) = 32)
      );
      insert into log_head (size, root) values (0, sha256(''));

      create table log_nodes (
        level smallint not null,
        index bigint not null,
        hash bytea not null check (octet_length(hash) = 32),
        primary key (level, index)
      );

      create table log_entries (
        index bigint primary key,
        kind text not null check (kind in ('entry', 'batch')),
        producer text not null,
        epoch integer not null,
        seq bigint not null,
        event_id uuid,
        leaf bytea not null,
        received_at timestamptz not null
      );
      create unique index log_entries_sequence on log_entries (producer, epoch, seq) where kind = 'entry';
      create index log_entries_event on log_entries (event_id) where kind = 'entry';

      create table log_events (
        event_id uuid primary key,
        index bigint not null references log_entries,
        tenant text,
        action text not null,
        occurred_at timestamptz,
        salt bytea,
        canonical bytea,
        opaque text,
        bytes integer not null,
        digest bytea not null
      );
      create index log_events_tenant on log_events (tenant, index) where opaque is null;

      create table log_batches (
        index bigint primary key references log_entries,
        header text not null,
        signature bytea not null,
        signing_digest bytea not null
      );

      create table log_checkpoints (
        tree_size bigint primary key,
        root bytea not null,
        note text,
        created_at timestamptz not null default now()
      );

      create table log_watermarks (
        producer text primary key,
        epoch integer not null,
        seq bigint not null,
        hash bytea not null,
        index bigint not null references log_entries
      );

      create table log_keys (
        id uuid primary key,
        name text not null unique,
        verifier text not null,
        sealed bytea not null,
        created_at timestamptz not null default now()
      );

      create table held_batches (
        producer text not null,
        epoch integer not null,
        first bigint not null,
        batch text not null,
        received_at timestamptz not null default now(),
        primary key (producer, epoch, first)
      );

      create table quarantine (
        id bigint generated always as identity primary key,
        queue text not null,
        reason text not null,
        bytes bigint not null,
        digest bytea not null,
        received_at timestamptz not null default now()
      );
    `,
    // Both rows of an entry come from one statement's transaction and are never deleted: checking each reference again cost
    // more than the insert. Events are found by the key of log_events.
    '0002-fewer-checks': `
      alter table log_events drop constraint log_events_index_fkey;
      drop index log_entries_event;
    `,
    '0003-runs': runsStep,
    // A batch has up to 1,024 entries, and its receipt.
    '0004-larger-runs': `
      alter table log_runs drop constraint log_runs_leaves_check, add check (leaves between 1 and 1025);
    `,
    // `log_wanted`: entries whose leaves came back after a restore, and whose events have not (R27); `log_lost`: those given up.
    '0005-publication': `
      create table log_publication (
        only_row boolean primary key default true check (only_row),
        size bigint not null,
        published_at timestamptz not null default now()
      );
      create table log_wanted (
        index bigint primary key,
        event_id uuid not null,
        producer text not null,
        epoch integer not null,
        seq bigint not null
      );
      create index log_wanted_event on log_wanted (event_id);
      create index log_wanted_sequence on log_wanted (producer, epoch, seq);
      create table log_lost (like log_wanted including defaults, given_up_at timestamptz not null default now());
    `,
    // Where an operator closed a producer's epoch, and from when on its certificates must be (R26).
    '0006-closings': `
      create table log_closings (
        producer text primary key,
        epoch integer not null,
        seq bigint not null,
        certificates_before timestamptz not null,
        closed_at timestamptz not null
      );
    `,
    // Events of one subject in a batch are sealed together (ADR 67): the content stands at the last of them, and here is its index.
    // Null for an event that is sealed by itself, as all were before.
    '0007-sealed-together': `
      alter table log_events add column sealed_with bigint;
      create or replace view log_every_event as select * from log_events;
    `,
    // The people of a tenant that ended. While it is built (some seconds at 10^7 rows) nobody new is written: batches about
    // them wait, on the bus and with their producers. Reads, and batches about those who are known, go on.
    '0008-subjects-by-tenant': `
      create index log_subjects_tenant on log_subjects (tenant, id);
    `,
    // A subject whose key cannot be opened any more has a row with a new one; the old row is found by the MAC that it had.
    '0009-replaced-subjects': `
      alter table log_subjects alter column mac drop not null, add column replaced_mac bytea,
        add check ((mac is null) = (replaced_mac is not null));
      create index log_subjects_replaced on log_subjects (replaced_mac) where replaced_mac is not null;
    `,
    // Which entries a restore lost. It stays until it is recorded that they are back, or were given up.
    '0010-restoring': `
      create table log_restoring (
        only_row boolean primary key default true check (only_row),
        from_index bigint not null,
        to_size bigint not null
      );
      insert into log_restoring (from_index, to_size) select min(index), max(index) + 1 from log_wanted having count(*) > 0;
    `,
  },
  privileges: {
    // Leaves are deleted by retention, and never changed.
    log_runs: ['select', 'insert', 'delete'],
    log_head: ['select', 'update'],
    log_checkpoints: ['select', 'insert', 'update', 'delete'],
    log_keys: ['select', 'insert'],
    log_lost: ['select', 'insert'],
    // What a tenant may see is what row-level security lets through; everything else goes through the views below.
    log_events: ['select'],
    log_counts: ['select'],
  },
};
