import { type Kysely } from 'kysely';
import { z } from 'zod';
import { startJob } from '@postern/bus';
import { type BranchKeys } from '@postern/branch-keys';
import { route, type Route } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { type Now, problem } from '@postern/runtime';
import { type Schema } from '../db/schema.ts';
import { findMove } from '../moves/move.ts';
import { planMove } from '../moves/plan-move.ts';
import { isRunning, MOVE, moveInput, states } from '../moves/run-move.ts';
import { heldPlace } from '../providers/choose-place.ts';
import { type Place } from '../providers/open-providers.ts';
import { sealToken, type StoreTokens } from '../providers/sealed-token.ts';
import { ownerOf } from '../secrets/owner.ts';
import { PROVIDER_PROBLEMS } from './provider-problems.ts';
import { providerName } from './providers/configure.ts';

export type MoveRoutes = StoreTokens & { db: Kysely<Schema>; branchKeys: BranchKeys; now: Now };

const admin = { listener: 'api', scope: 'secrets:configure', role: 'admin' } as const;
const params = z.strictObject({ id: z.uuid() });
const PROBLEMS = [
  'person_required',
  'provider_unknown',
  'move_not_found',
  'move_empty',
  'move_under_way',
  'move_to_itself',
] as const;

/** Moves of all secrets of a tenant between two of its providers: plan, run, take back, finish (R38). */
export const moveRoutes = (deps: MoveRoutes): Route[] => [
  route({
    ...admin,
    method: 'POST',
    path: '/v1/secret-moves',
    summary: 'Plan a move of the tenant’s secrets from one provider to another',
    description:
      'Nothing is moved before it is started. Each secret is written at the destination, read back and switched only if nobody wrote it meanwhile; a rollback does the same the other way.',
    audit: 'move.planned',
    body: z.strictObject({
      from: providerName.describe('where they lie'),
      to: providerName.describe('where they shall lie'),
    }),
    answers: {
      201: z.strictObject({
        id: z.uuid(),
        secrets: z.int().describe('how many it would move'),
        blocked: z.array(
          z.strictObject({
            id: z.uuid(),
            name: z.string().describe('of the secret'),
            reason: z.string().describe('why it cannot be moved, as a code'),
          }),
        ),
      }),
    },
    problems: PROBLEMS,
    async handle({ principal, body }, audit) {
      const owner = ownerOf(principal);
      if (body.from === body.to) throw problem('move_to_itself');
      return deps.db.transaction().execute(async (tx) => {
        const [from, to] = [await heldPlace(tx, owner.tenant, body.from), await heldPlace(tx, owner.tenant, body.to)];
        const plan = await planMove(tx, { owner, from, to, sealedToken: null }, deps.now());
        const details = { from: from.kind, to: to.kind, count: plan.secrets };
        return audit.within(tx, { resource: { type: 'move', id: plan.id }, details }, { status: 201, body: plan });
      });
    },
  }),
  route({
    ...admin,
    method: 'GET',
    path: '/v1/secret-moves/:id',
    summary: 'How far a move is, secret by secret where one stayed behind',
    audit: 'move.read',
    params,
    answers: {
      200: z.strictObject({
        id: z.uuid(),
        states: z.record(z.string(), z.int()).describe('how many secrets, by how far they are'),
        failed: z.array(
          z.strictObject({
            id: z.uuid(),
            name: z.string().describe('of the secret'),
            reason: z.string().nullable().describe('why it stayed behind, as a code'),
          }),
        ),
      }),
    },
    problems: ['move_not_found'],
    async handle({ principal, params: { id } }, audit) {
      const move = await findMove(deps.db, principal.tenant, id);
      const failed = await deps.db
        .selectFrom('secret_move_items as i')
        .innerJoin('secrets as s', 's.id', 'i.secret_id')
        .select(['s.id', 's.name', 'i.reason'])
        .where('i.move_id', '=', id)
        .where('i.reason', 'is not', null)
        .orderBy('s.name')
        .limit(1000)
        .execute();
      const details = { from: move.from.kind, to: move.to.kind };
      return audit.released(
        { resource: { type: 'move', id }, details },
        { status: 200, body: { id, states: await states(deps, move), failed } },
      );
    },
  }),
  startRoute(deps, 'start', 'forward', 'Run a move, or go on with it: each secret is copied, read back and switched'),
  startRoute(deps, 'rollback', 'back', 'Take a move back'),
  startRoute(deps, 'finish', 'finish', 'End a move: what is left at the old provider is destroyed'),
];

/** `POST /v1/secret-moves/:id/<path>` starts a job. One that ended early, of its token or its provider, is started again. */
const startRoute = (
  deps: MoveRoutes,
  path: 'start' | 'rollback' | 'finish',
  mode: 'forward' | 'back' | 'finish',
  summary: string,
): Route =>
  route({
    ...admin,
    method: 'POST',
    path: `/v1/secret-moves/:id/${path}`,
    summary,
    audit: 'move.started',
    params,
    answers: { 202: z.strictObject({ job: z.uuid() }) },
    problems: [...PROVIDER_PROBLEMS, 'move_not_found', 'move_under_way'],
    async handle({ principal, params: { id } }, audit) {
      const { tenant } = principal;
      const { from, to } = await findMove(deps.db, tenant, id);
      const atStore = ({ kind }: Place) => kind === 'crypto-store';
      const token =
        atStore(from) || atStore(to) ? await deps.storeToken(principal.token, ['records:read', 'records:write']) : null;
      const sealed = token && (await sealToken(deps.branchKeys, { tenant, purpose: 'move-tokens' }, token));
      return deps.db.transaction().execute(async (tx) => {
        // Held from here on: of two starts at once the second one finds the job of the first.
        await tx.updateTable('secret_moves').set({ sealed_token: sealed }).where('id', '=', id).execute();
        if (await isRunning(tx, { id, tenant })) throw problem('move_under_way');
        const input = { move: id, mode };
        const job = await startJob(queryIn(tx), { name: MOVE, kind: moveInput, input, tenant });
        const details = { from: from.kind, to: to.kind, mode, job };
        return audit.within(tx, { resource: { type: 'move', id }, details }, { status: 202, body: { job } });
      });
    },
  });
