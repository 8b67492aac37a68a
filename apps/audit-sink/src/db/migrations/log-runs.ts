/**
 * One row a batch in place of two rows and two nodes an entry, events sealed, and tenants kept apart by row-level security.
 * Leaves, hashes and events that stand already are carried over; what was in clear waits in `log_unsealed` until a process
 * that has keys seals it.
 */
export const runsStep = `
  create table log_runs (
    first bigint primary key,
    leaves integer not null check (leaves between 1 and 501),
    producer text not null,
    epoch integer not null,
    first_seq bigint not null,
    last_seq bigint not null,
    -- Hash of the last event's leaf: the end of the producer's chain (R22).
    chain bytea not null check (octet_length(chain) = 32),
    -- As a bundle of C2SP tlog-tiles: each leaf after its length in two bytes. The last one is the batch's receipt.
    entries bytea not null,
    hashes bytea not null check (octet_length(hashes) = leaves * 32),
    -- Of the earliest event, for searches by time.
    earliest timestamptz,
    received_at timestamptz not null,
    header text not null,
    signature bytea not null,
    signing_digest bytea not null
  );
  create unique index log_runs_sequence on log_runs (producer, epoch, first_seq);
  create index log_runs_received on log_runs (received_at);
  alter table log_runs alter column entries set storage external, alter column hashes set storage external,
    alter column header set storage external;

  create table log_tiles (
    level smallint not null check (level > 0),
    index bigint not null,
    hashes bytea not null check (octet_length(hashes) % 32 = 0 and octet_length(hashes) <= 8192),
    primary key (level, index)
  );
  alter table log_tiles alter column hashes set storage external;

  create table log_subjects (
    id uuid primary key,
    tenant text,
    -- HMAC of the person under a key of the tenant (R30): finds the row without naming anybody.
    mac bytea not null unique,
    sealed bytea not null,
    created_at timestamptz not null default now()
  );

  alter table log_events rename to log_events_before;
  create table log_events (
    index bigint not null,
    event_id uuid not null,
    tenant text,
    action text,
    outcome text,
    occurred_at timestamptz,
    subject uuid,
    workload text,
    resource text,
    trace text,
    sealed bytea
  );
  alter table log_events alter column sealed set storage external;

  create table log_opaque (
    index bigint primary key,
    event_id uuid not null,
    reason text not null,
    bytes integer not null,
    digest bytea not null
  );

  create table log_counts (
    tenant text not null,
    hour timestamptz not null,
    action text not null,
    outcome text not null,
    count bigint not null,
    primary key (tenant, hour, action, outcome)
  );

  create table log_unsealed (event_id uuid primary key, salt bytea not null, canonical bytea not null);

  -- What stands already.
  insert into log_runs (first, leaves, producer, epoch, first_seq, last_seq, chain, entries, hashes, earliest, received_at,
    header, signature, signing_digest)
  select r.first, r.leaves, b.producer, b.epoch, r.first_seq, b.seq, c.hash, r.entries, r.hashes, r.earliest, b.received_at,
    s.header, s.signature, s.signing_digest
  from (
    select min(e.index) as first, count(*) as leaves, e.run, min(e.seq) as first_seq,
      string_agg(int2send(octet_length(e.leaf)::int2) || e.leaf, '' order by e.index) as entries,
      string_agg(n.hash, '' order by e.index) as hashes, min(v.occurred_at) as earliest
    from (select *, min(index) filter (where kind = 'batch') over (order by index rows between current row and unbounded following)
          as run from log_entries) e
    join log_nodes n on n.level = 0 and n.index = e.index
    left join log_events_before v on v.index = e.index
    group by e.run
  ) r
  join log_entries b on b.index = r.run
  join log_batches s on s.index = r.run
  join log_nodes c on c.level = 0 and c.index = r.run - 1;

  insert into log_tiles (level, index, hashes)
  select level / 8, index / 256, string_agg(hash, '' order by index) from log_nodes where level > 0 and level % 8 = 0 group by 1, 2;

  insert into log_events (index, event_id, tenant, action, outcome, occurred_at, workload, resource, trace)
  select index, event_id, tenant, action, j ->> 'outcome', occurred_at, j #>> '{actor,workload}',
    (j #>> '{resource,type}') || ':' || (j #>> '{resource,id}'), j ->> 'trace'
  from (select *, convert_from(canonical, 'UTF8')::json as j from log_events_before where opaque is null and canonical is not null) v;
  insert into log_unsealed (event_id, salt, canonical)
  select event_id, salt, canonical from log_events_before where opaque is null and canonical is not null;
  insert into log_opaque (index, event_id, reason, bytes, digest)
  select index, event_id, opaque, bytes, digest from log_events_before where opaque is not null;
  insert into log_counts (tenant, hour, action, outcome, count)
  select tenant, date_trunc('hour', occurred_at, 'UTC'), action, outcome, count(*) from log_events
  where tenant is not null and occurred_at is not null and outcome is not null group by 1, 2, 3, 4;

  alter table log_head add column edge bytea;
  do $$
  declare size bigint; at bigint := 0; width bigint; height integer; edge bytea := '';
  begin
    select h.size into size from log_head h;
    while at < size loop
      width := 1; height := 0;
      while width * 2 <= size - at loop width := width * 2; height := height + 1; end loop;
      edge := edge || (select n.hash from log_nodes n where n.level = height and n.index = at / width);
      at := at + width;
    end loop;
    update log_head h set edge = edge_of.e from (select edge as e) edge_of;
  end $$;
  alter table log_head alter column edge set not null;

  alter table log_watermarks drop constraint log_watermarks_index_fkey;
  drop table log_batches, log_events_before, log_entries, log_nodes;

  alter table log_events add primary key (index);
  create unique index log_events_id on log_events (event_id);
  create index log_events_tenant on log_events (tenant, index);
  create index log_events_action on log_events (tenant, action, index);
  create index log_events_subject on log_events (subject, index) where subject is not null;
  create index log_events_resource on log_events (tenant, resource, index) where resource is not null;
  create index log_events_trace on log_events (tenant, trace, index) where trace is not null;

  -- A tenant sees its own rows and no others, whatever a query forgets. The service's own work on all of them goes by views,
  -- which have their owner's rights.
  alter table log_events enable row level security;
  create policy own_tenant on log_events for select using (tenant = current_setting('postern.tenant', true));
  alter table log_counts enable row level security;
  create policy own_tenant on log_counts for select using (tenant = current_setting('postern.tenant', true));
  create view log_every_event as select * from log_events;
  create view log_every_count as select * from log_counts;

  -- Keys may follow one another (R27): the newest of a name signs, those before it are kept.
  alter table log_keys drop constraint log_keys_name_key;
  alter table log_keys add column generation integer not null default 1, add column endorsement text;
  create unique index log_keys_generation on log_keys (name, generation);

  alter table held_batches add column bytes integer not null default 0;
`;
