import { startJob } from '@postern/bus';
import { queryIn } from '@postern/postgres';
import { problem, uuidv7 } from '@postern/runtime';
import type { Transaction } from 'kysely';
import type { Schema } from '../db/schema.ts';
import { type GrantFilter, grantFilter, matching } from './grant-filter.ts';
import { REVOKE_GRANTS, revokeGrantsInput } from './revoke-grants.ts';

/** What a dry run counted; good for one run by whom it was made. */
export type Plan = { id: string; count: number; expiresAt: Date };
export type Planner = { tenant: string; client: string; person: string };

/** Long enough to look at what would go, too short to be run against another day's grants. */
const PLAN_MINUTES = 15;

const makerOf = ({ client, person }: Planner): string => JSON.stringify([client, person]);

/** Counts the grants that a filter means, and keeps that as a plan. Nothing else changes. */
export async function planRevocation(
  tx: Transaction<Schema>,
  planner: Planner,
  filter: GrantFilter,
  now: Date,
): Promise<Plan> {
  const { count } = await tx
    .selectFrom('grants')
    .select((row) => row.fn.countAll<string>().as('count'))
    .where((row) => matching(row, planner.tenant, filter))
    .where('created_at', '<=', now)
    .executeTakeFirstOrThrow();
  const plan = { id: uuidv7(), count: Number(count), expiresAt: new Date(now.getTime() + PLAN_MINUTES * 60_000) };
  await tx
    .insertInto('revocation_plans')
    .values({
      id: plan.id,
      tenant: planner.tenant,
      made_by: makerOf(planner),
      filter: JSON.stringify(filter),
      count: plan.count,
      created_at: now,
      expires_at: plan.expiresAt,
    })
    .execute();
  return plan;
}

/**
 * Starts the run of a plan as a background job, in the caller's transaction: of the grants that were there when it was
 * made, those that its filter means still.
 * @throws Problem `plan_not_found` for one that is used, too old, or another's.
 */
export async function runPlan(
  tx: Transaction<Schema>,
  planner: Planner,
  id: string,
  now: Date,
): Promise<{ job: string; count: number }> {
  const job = uuidv7();
  const plan = await tx
    .updateTable('revocation_plans')
    .set({ job })
    .where((row) => row.and({ id, tenant: planner.tenant, made_by: makerOf(planner) }))
    .where('job', 'is', null)
    .where('expires_at', '>', now)
    .returning(['filter', 'count', 'created_at'])
    .executeTakeFirst();
  if (!plan) throw problem('plan_not_found');
  const input = {
    filter: grantFilter.parse(plan.filter),
    madeBefore: plan.created_at.toISOString(),
    total: Number(plan.count),
  };
  await startJob(queryIn(tx), {
    id: job,
    name: REVOKE_GRANTS,
    kind: revokeGrantsInput,
    input,
    tenant: planner.tenant,
    owner: planner.client,
  });
  return { job, count: Number(plan.count) };
}
