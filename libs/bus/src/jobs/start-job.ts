import { uuidv7 } from '@postern/runtime';
import type { Query } from '@postern/postgres';
import type { JobData, JobKind } from './job.ts';
import { writeEvent } from './job-events.ts';

export type JobRequest<Input> = {
  name: string;
  kind: Pick<JobKind<never, Input>, 'version' | 'input'>;
  input: Input;
  /** Whose data it is about; only this tenant sees it. */
  tenant: string | null;
  /** The client that may see it; null: every client of the tenant with the scope. */
  owner?: string | null;
  /** For a caller's own idempotency: a job of this id is started once, for as long as it is kept. */
  id?: string;
};

/**
 * Writes a job in the transaction of `query`, beside the event that records who wanted it. A worker takes it within seconds;
 * `wakeJob` after the commit makes that at once.
 *
 * @returns its id.
 */
export async function startJob<Input>(query: Query, request: JobRequest<Input>): Promise<string> {
  const { name, kind, input, tenant, owner = null, id = uuidv7() } = request;
  const made = await query(
    `insert into background_jobs (id, kind, version, tenant, owner, input) values ($1, $2, $3, $4, $5, $6)
     on conflict (id) do nothing returning 1`,
    [id, name, kind.version, tenant, owner, JSON.stringify(kind.input.parse(input) as JobData)],
  );
  if (made.length > 0) await writeEvent(query, id, 'queued', {});
  return id;
}
