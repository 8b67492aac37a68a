/**
 * Handles with limits, further ones of the same workload, counted uses; what keeping a grant alive needs to know; the
 * provider's own tokens, sealed; and when this database was last found to be another one than before (R20).
 */
export const keeping0002 = `
alter table grants drop constraint grants_kind_check;
update grants set kind = 'refresh' where kind = 'session';
alter table grants add constraint grants_kind_check check (kind in ('offline', 'refresh'));
alter table grants
  -- Counts the consents: what was minted or obtained before the newest is used no more.
  add column family bigint not null default 1 check (family > 0),
  add column attributes jsonb not null default '{}',
  -- How long the provider keeps the token without a use, where it said so.
  add column idle_seconds int check (idle_seconds > 0),
  -- When it is refreshed next although nobody uses it; null where it is not to be kept alive.
  add column due_at timestamptz,
  -- Attempts at that since the last good one.
  add column tries int not null default 0;
update grants set due_at = now() + random() * interval '1 day' where kind = 'offline' and state = 'active';
create index grants_due on grants (due_at) where state = 'active' and due_at is not null;
create index grants_state on grants (provider, state);

alter table handles drop constraint handles_grant_id_workload_key;
alter table handles
  add column if not exists last_used_at timestamptz,
  add column expires_at timestamptz,
  add column max_uses bigint check (max_uses > 0),
  add column idempotency_key text unique,
  add column idempotency_request text,
  add constraint handles_uses_limit check (max_uses is null or uses <= max_uses);
create index handles_grant on handles (grant_id, workload);

-- Uses of handles without a limit, written with their events, added to handles.uses by a worker. Without a foreign key: it
-- would lock the handle for each use.
create table handle_uses (handle_id uuid not null, uses bigint not null, at timestamptz not null default now());
create index handle_uses_handle on handle_uses (handle_id);

create table provider_tokens (
  grant_id uuid not null references grants on delete cascade,
  -- SHA-256 over the scopes that were asked for.
  asked bytea not null,
  family bigint not null,
  scopes text[] not null,
  sealed_token bytea not null,
  -- From then on a new one is asked for; until the second time this one is given where none can be had.
  renew_at timestamptz not null,
  expires_at timestamptz not null,
  primary key (grant_id, asked)
);
create index provider_tokens_expiry on provider_tokens (expires_at);

create table keeping_pauses (
  provider text primary key,
  paused_at timestamptz not null,
  paused_by text not null
);

create table restores (
  one boolean primary key default true check (one),
  -- System identifier, timeline and the epoch of our events: another one means a failover or a restore (R20, R22).
  marker text not null,
  at timestamptz
);
`;
