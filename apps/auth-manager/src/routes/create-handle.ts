import { route } from '@postern/http';
import type { Kysely } from 'kysely';
import { type Now, problem } from '@postern/runtime';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { createHandle } from '../grants/create-handle.ts';
import { handleView } from '../grants/grant.ts';
import { handleAnswer, handleRequest } from '../grants/grant-answer.ts';
import { ownerOf } from '../grants/owner-of.ts';

export type CreateHandle = { db: Kysely<Schema>; workloads: ReadonlySet<string>; now: Now };

const MOST_USES = 1_000_000_000;

/** A further handle of one of the person's own grants: for another job, or for less, for a time, for so many uses. */
export const createHandleRoute = ({ db, workloads, now }: CreateHandle) =>
  route({
    method: 'POST',
    path: '/v1/grants/:id/handles',
    listener: 'api',
    summary: 'Let a job use a grant',
    scope: 'grants:write',
    audit: 'handle.created',
    idempotency: 'accepted',
    params: z.strictObject({ id: z.uuid() }),
    body: z.strictObject({
      ...handleRequest,
      expires_at: z.iso.datetime().optional(),
      max_uses: z.int().min(1).max(MOST_USES).optional().describe('how often it may be used; absent: no limit'),
    }),
    answers: { 201: handleAnswer },
    problems: [
      'person_required',
      'grant_not_found',
      'grant_ended',
      'handle_workload_unknown',
      'handle_exceeds_consent',
      'too_many_handles',
    ],
    async handle({ principal, params: { id }, body, idempotency }, audit) {
      const owner = ownerOf(principal);
      const { workload, audiences, scopes, expires_at: end, max_uses: maxUses = null } = body;
      const expiresAt = end === undefined ? null : new Date(end);
      if (expiresAt && expiresAt <= now()) {
        throw problem('invalid_input', { fields: [{ field: 'body.expires_at', rule: 'in_the_past' }] });
      }
      return db.transaction().execute(async (tx) => {
        const asked = { workload, audiences, scopes, expiresAt, maxUses };
        const handle = await createHandle(tx, owner, id, asked, { idempotency, now: now() });
        // After the grant was found to be the person's own: nothing is told about another's.
        if (!workloads.has(workload)) throw problem('handle_workload_unknown');
        const what = { resource: { type: 'handle', id: handle.id }, details: { workload, scopes, audiences } };
        return audit.within(tx, what, { status: 201, body: handleView(handle) });
      });
    },
  });
