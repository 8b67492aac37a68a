import { route } from '@postern/http';
import { problem } from '@postern/runtime';
import { sql, type Kysely } from 'kysely';
import { z } from 'zod';
import { decideApproval } from '../approvals/decide-approval.ts';
import type { Schema } from '../db/schema.ts';
import type { PolicyStore } from '../policy/policy-store.ts';

export type ApprovalRoutes = { db: Kysely<Schema>; policies: PolicyStore; now: () => Date };

/** What people see and decide of the requests that wait for them (R19), of their own tenant. */
export const approvalRoutes = (deps: ApprovalRoutes) => [listApprovals(deps), getApproval(deps), decide(deps)];

const states = ['pending', 'approved', 'denied', 'expired', 'consumed'] as const;
const approval = z.strictObject({
  id: z.string().describe('what the caller was given as `approval_id`'),
  state: z.enum(states),
  person: z
    .strictObject({
      issuer: z.string().describe('where the person is known'),
      sub: z.string().describe('the person there'),
    })
    .describe('for whom it is asked'),
  actors: z.array(z.string()).describe('everyone who would act, the caller first'),
  workload: z.string().describe('who asks'),
  audience: z.string().describe('the first that was named'),
  audiences: z.array(z.string()).describe('all that the token would be for'),
  scopes: z.array(z.string()).describe('what is asked for'),
  approvedScopes: z.array(z.string()).nullable().describe('what was approved; null before'),
  justification: z.string().nullable().describe("the caller's own words: to be shown as text, never as markup"),
  personsNeeded: z.int().describe('how many different people must approve'),
  policyVersion: z.string().describe('under which it was asked; another one ends it'),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
});
const PAGE = 100;

const listApprovals = ({ db, now }: ApprovalRoutes) =>
  route({
    method: 'GET',
    path: '/v1/approvals',
    listener: 'api',
    summary: 'Approvals of the tenant, oldest first',
    scope: 'approvals:read',
    audit: 'approval.listed',
    query: z.strictObject({
      state: z.enum(states).default('pending'),
      workload: z.string().max(128).optional().describe('who asks'),
      audience: z.string().max(128).optional().describe('one of those that the token would be for'),
      scope: z.string().max(128).optional().describe('those that ask for it, among others'),
      person: z.string().max(512).optional().describe('the `sub` of whom it is asked for'),
      after: z.uuid().optional().describe('the last id of the page before'),
    }),
    answers: {
      200: z.strictObject({
        approvals: z.array(approval),
        next: z.string().nullable().describe('`after` of the next page'),
      }),
    },
    async handle({ principal: { tenant }, query: { state, workload, audience, scope, person, after } }, audit) {
      const rows = await db
        .selectFrom('approvals')
        .selectAll()
        .where('tenant', '=', tenant)
        .where('state', '=', state)
        .$if(state === 'pending', (query) => query.where('expires_at', '>', now()))
        .$if(workload !== undefined, (query) => query.where('workload', '=', workload ?? ''))
        .$if(audience !== undefined, (query) =>
          query.where(sql<boolean>`${audience ?? ''} = any(audience || more_audiences)`),
        )
        .$if(scope !== undefined, (query) => query.where(sql<boolean>`${scope ?? ''} = any(scopes)`))
        .$if(person !== undefined, (query) => query.where('person_sub', '=', person ?? ''))
        // Ids are in the order of time.
        .$if(after !== undefined, (query) => query.where('id', '>', after ?? ''))
        .orderBy('id')
        .limit(PAGE + 1)
        .execute();
      const page = rows.slice(0, PAGE);
      const next = rows.length > PAGE ? (page.at(-1)?.id ?? null) : null;
      const body = { approvals: page.map(answerOf), next };
      return audit.released({ details: { count: page.length } }, { status: 200, body });
    },
  });

const getApproval = ({ db }: ApprovalRoutes) =>
  route({
    method: 'GET',
    path: '/v1/approvals/:id',
    listener: 'api',
    summary: 'One approval',
    scope: 'approvals:read',
    audit: 'approval.read',
    params: z.strictObject({ id: z.uuid() }),
    answers: { 200: approval },
    problems: ['approval_not_found'],
    async handle({ principal: { tenant }, params: { id } }, audit) {
      const row = await db
        .selectFrom('approvals')
        .selectAll()
        .where('id', '=', id)
        .where('tenant', '=', tenant)
        .executeTakeFirst();
      if (!row) throw problem('approval_not_found');
      return audit.released({ resource: { type: 'approval', id }, details: {} }, { status: 200, body: answerOf(row) });
    },
  });

const decide = ({ db, policies, now }: ApprovalRoutes) =>
  route({
    method: 'POST',
    path: '/v1/approvals/:id/decision',
    listener: 'api',
    summary: 'Approve, narrow or deny',
    description:
      'By a person of the issuer and role that the policy names, logged in as it asks, and by nobody who has a part in the request. What is approved is used once, in the exchange that it was asked for.',
    scope: 'approvals:decide',
    audit: 'approval.decided',
    params: z.strictObject({ id: z.uuid() }),
    body: z.strictObject({
      decision: z.enum(['approved', 'denied']),
      scopes: z.array(z.string().min(1).max(128)).min(1).max(64).optional().describe('fewer than were asked for'),
      reason: z.string().min(1).max(1_024).optional().describe('why, for who asked; recorded'),
    }),
    answers: {
      200: z.strictObject({
        state: z.enum(states),
        scopes: z.array(z.string()).nullable().describe('what is approved until now'),
        missing: z.int().nonnegative().describe('how many more people have to approve'),
      }),
    },
    problems: ['approval_not_found', 'approval_ended', 'approver_refused', 'scopes_not_asked'],
    async handle({ principal, params: { id }, body }, audit) {
      const { document } = await policies.refresh();
      return db.transaction().execute(async (tx) => {
        const { state, scopes, missing } = await decideApproval(tx, document, principal, id, body, now());
        const details = { decision: body.decision, ...(scopes && { scopes: [...scopes] }) };
        return audit.within(
          tx,
          { resource: { type: 'approval', id }, details },
          { status: 200, body: { state, scopes: scopes && [...scopes], missing } },
        );
      });
    },
  });

const answerOf = (row: Schema['approvals']): z.output<typeof approval> => ({
  id: row.id,
  state: row.state,
  person: { issuer: row.person_issuer, sub: row.person_sub },
  actors: row.actors,
  workload: row.workload,
  audience: row.audience,
  audiences: [row.audience, ...row.more_audiences],
  scopes: row.scopes,
  approvedScopes: row.approved_scopes,
  justification: row.justification,
  personsNeeded: row.persons_needed,
  policyVersion: row.policy_version,
  createdAt: row.created_at.toISOString(),
  expiresAt: row.expires_at.toISOString(),
});
