import type { MigrationSet } from '@postern/postgres';

/**
 * Background jobs, in each service's own database: the truth about them (R33). Redis only says that one is waiting. `fence`
 * grows with each take-over, and whoever writes must name the newest.
 */
export const jobMigrations: MigrationSet = {
  set: 'background-jobs',
  steps: {
    '0001-background-jobs': `
      create table background_jobs (
        id uuid primary key,
        kind text not null,
        version integer not null,
        tenant text,
        owner text,
        input json not null,
        state text not null default 'queued' check (state in ('queued', 'running', 'done', 'failed', 'cancelled')),
        done bigint not null default 0,
        total bigint,
        checkpoint json,
        result json,
        reason text,
        cancel_requested boolean not null default false,
        attempts integer not null default 0,
        fence integer not null default 0,
        -- when a replica may take it: later after a failed attempt, or when the one that has it gives no sign any more
        next_at timestamptz not null default now(),
        events integer not null default 0,
        created_at timestamptz not null default now(),
        ended_at timestamptz
      );
      create index background_jobs_next on background_jobs (next_at) where state in ('queued', 'running');

      create table background_job_events (
        job uuid not null references background_jobs on delete cascade,
        number integer not null,
        kind text not null,
        data json not null,
        at timestamptz not null default now(),
        primary key (job, number)
      );
    `,
    '0002-ended-jobs': `
      create index background_jobs_ended on background_jobs (ended_at) where ended_at is not null;
    `,
  },
};
