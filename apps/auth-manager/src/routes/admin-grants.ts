import { startJob } from '@postern/bus';
import { route, type Route } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { describeKeys } from '@postern/branch-keys';
import type { Principal } from '@postern/oidc';
import type { Kysely } from 'kysely';
import { type Now, problem } from '@postern/runtime';
import { z } from 'zod';
import { grantFilter } from '../administration/grant-filter.ts';
import { cursorOf, nextPage, pageQuery } from '../administration/page-query.ts';
import { type Planner, planRevocation, runPlan } from '../administration/revocation-plan.ts';
import { GRANTS_PURPOSE, REWRAP_GRANTS, rewrapGrantsInput } from '../administration/rewrap-grants.ts';
import { searchGrants } from '../administration/search-grants.ts';
import type { Schema } from '../db/schema.ts';
import { grantAnswer } from '../grants/grant-answer.ts';
import { ownerOf } from '../grants/owner-of.ts';

export type AdminGrants = { db: Kysely<Schema>; now: Now };

const found = z.strictObject({
  ...grantAnswer.shape,
  person: z.strictObject({
    issuer: z.string().describe('where the person is known'),
    sub: z.string().describe('the person there'),
  }),
  client: z.string().describe('this service as a client of the provider'),
});
const MOST_AT_ONCE = 200;
const DEFAULT_PER_SECOND = 200;

const plannerOf = (principal: Principal): Planner => {
  const { tenant, issuer, sub } = ownerOf(principal);
  return { tenant, client: principal.clientId, person: `${issuer} ${sub}` };
};

/** What an administrator does with the grants of a whole tenant. */
export const adminGrantRoutes = (deps: AdminGrants): Route[] => [search(deps), plan(deps), revoke(deps), rewrap(deps)];

const search = (deps: AdminGrants) =>
  route({
    method: 'GET',
    path: '/v1/admin/grants',
    listener: 'api',
    summary: 'The tenant’s grants by person, provider, client, workload, kind and state, in pages',
    scope: 'grants:read',
    role: 'admin',
    audit: 'grants.searched',
    query: z.strictObject({
      ...grantFilter.shape,
      ...pageQuery('grants', MOST_AT_ONCE),
    }),
    answers: {
      200: z.strictObject({
        grants: z.array(found),
        next: nextPage,
      }),
    },
    async handle({ principal, query: { cursor: after = null, limit = 50, ...filter } }, audit) {
      const { grants, next } = await searchGrants(deps, principal.tenant, filter, { after, limit });
      return audit.released(
        { details: { count: grants.length } },
        { status: 200, body: { grants, next: cursorOf(next) } },
      );
    },
  });

const plan = ({ db, now }: AdminGrants) =>
  route({
    method: 'POST',
    path: '/v1/admin/revocation-plans',
    listener: 'api',
    summary: 'A dry run: how many grants a bulk revocation would end; its id is what the run needs',
    scope: 'grants:write',
    role: 'admin',
    audit: 'revocation.planned',
    body: grantFilter,
    answers: {
      201: z.strictObject({
        plan: z.uuid(),
        count: z.int().describe('how many grants it would end'),
        expires_at: z.iso.datetime(),
      }),
    },
    problems: ['person_required'],
    async handle({ principal, body }, audit) {
      const planner = plannerOf(principal);
      return db.transaction().execute(async (tx) => {
        const { id, count, expiresAt } = await planRevocation(tx, planner, body, now());
        return audit.within(
          tx,
          { resource: { type: 'revocation-plan', id }, details: { count } },
          { status: 201, body: { plan: id, count, expires_at: expiresAt.toISOString() } },
        );
      });
    },
  });

const revoke = ({ db, now }: AdminGrants) =>
  route({
    method: 'POST',
    path: '/v1/admin/revocations',
    listener: 'api',
    summary: 'Run a plan: the grants are revoked in the background, here and at their providers',
    description:
      'Exactly those that the plan counted. From this answer on no grant of them gives a token; follow the rest at `/v1/jobs/{id}`.',
    scope: 'grants:write',
    role: 'admin',
    audit: 'revocation.started',
    body: z.strictObject({ plan: z.uuid() }),
    answers: { 202: z.strictObject({ job: z.uuid(), count: z.int().describe('how many grants it ends') }) },
    problems: ['person_required', 'plan_not_found'],
    async handle({ principal, body }, audit) {
      const planner = plannerOf(principal);
      return db.transaction().execute(async (tx) => {
        const { job, count } = await runPlan(tx, planner, body.plan, now());
        return audit.within(
          tx,
          { resource: { type: 'revocation-plan', id: body.plan }, details: { count, job } },
          { status: 202, body: { job, count } },
        );
      });
    },
  });

const rewrap = ({ db }: AdminGrants) =>
  route({
    method: 'POST',
    path: '/v1/admin/rewrap',
    listener: 'api',
    summary: 'Seal all tokens of the tenant anew under the active version of its key, in the background',
    scope: 'grants:write',
    role: 'admin',
    audit: 'rewrap.started',
    body: z.strictObject({
      per_second: z.int().min(1).max(10_000).default(DEFAULT_PER_SECOND).describe('tokens a second, at most'),
    }),
    answers: { 202: z.strictObject({ job: z.uuid() }) },
    problems: ['key_not_found'],
    async handle({ principal: { tenant, clientId }, body }, audit) {
      return db.transaction().execute(async (tx) => {
        const query = queryIn(tx);
        const [key] = await describeKeys(query, tenant, GRANTS_PURPOSE);
        if (!key) throw problem('key_not_found');
        const input = { perSecond: body.per_second };
        const job = await startJob(query, {
          name: REWRAP_GRANTS,
          kind: rewrapGrantsInput,
          input,
          tenant,
          owner: clientId,
        });
        return audit.within(
          tx,
          {
            resource: { type: 'key', id: key.branchKeyId },
            details: { purpose: GRANTS_PURPOSE, keyId: key.branchKeyId, job },
          },
          { status: 202, body: { job } },
        );
      });
    },
  });
