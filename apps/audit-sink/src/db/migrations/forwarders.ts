import type { MigrationSet } from '@postern/postgres';

/** Where each forwarder stands in the log, what no target would take, and tenants' webhooks. */
export const forwarderMigrations: MigrationSet = {
  set: 'forwarders',
  steps: {
    '0001-forwarders': `
      create table forwarder_cursors (
        forwarder text primary key,
        next_index bigint not null,
        stopped text,
        updated_at timestamptz not null
      );

      create table forwarder_dead_letters (
        forwarder text not null,
        event_id uuid not null,
        index bigint not null,
        reason text not null,
        at timestamptz not null,
        primary key (forwarder, event_id)
      );

      create table webhook_subscriptions (
        id uuid primary key,
        tenant text not null,
        url text not null,
        types text[] not null,
        signature text not null check (signature in ('hmac-sha256', 'ed25519')),
        sealed_secret bytea not null,
        public_key text,
        sealed_previous bytea,
        previous_until timestamptz,
        next_index bigint not null,
        stopped text,
        failing_since timestamptz,
        idempotency_key text unique,
        idempotency_request text,
        created_at timestamptz not null
      );
      create index webhook_subscriptions_tenant on webhook_subscriptions (tenant, id);

      create table webhook_deliveries (
        id text primary key,
        subscription uuid not null references webhook_subscriptions on delete cascade,
        event_id uuid,
        index bigint,
        type text not null,
        body text not null,
        state text not null check (state in ('pending', 'delivered', 'dead')),
        attempts integer not null default 0,
        next_attempt_at timestamptz,
        last_status integer,
        last_reason text,
        created_at timestamptz not null,
        settled_at timestamptz,
        check ((state = 'pending') = (next_attempt_at is not null)),
        unique (subscription, event_id)
      );
      create index webhook_deliveries_due on webhook_deliveries (next_attempt_at) where state = 'pending';
      create index webhook_deliveries_subscription on webhook_deliveries (subscription, created_at, id);
      create index webhook_deliveries_settled on webhook_deliveries (settled_at) where state <> 'pending';
    `,
  },
};
