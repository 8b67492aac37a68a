import type { MigrationSet } from '@postern/postgres';

/**
 * Signals in each service's own database: `signals_out` until the receiver says that it took them, `signals_in` so that each
 * has its effect once, and those that this release does not know yet.
 */
export const signalMigrations: MigrationSet = {
  set: 'signals',
  steps: {
    '0001-signals': `
      create table signals_out (
        id uuid primary key,
        recipient text not null,
        type text not null,
        version integer not null,
        body json not null,
        attempts integer not null default 0,
        next_at timestamptz not null default now(),
        created_at timestamptz not null default now()
      );
      create index signals_out_next on signals_out (next_at);

      create table signals_in (
        sender text not null,
        id uuid not null,
        type text not null,
        version integer not null,
        -- what is parked: a body that this release has no schema for; null once it had its effect
        parked json,
        received_at timestamptz not null default now(),
        primary key (sender, id)
      );
      create index signals_in_parked on signals_in (sender) where parked is not null;
      create index signals_in_received on signals_in (received_at) where parked is null;
    `,
  },
};
