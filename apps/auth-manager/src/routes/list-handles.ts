import { route } from '@postern/http';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { handlesOf, ownGrant } from '../grants/find-grants.ts';
import { handleView } from '../grants/grant.ts';
import { handleAnswer } from '../grants/grant-answer.ts';
import { ownerOf } from '../grants/owner-of.ts';

/** Who may use one of the person's own grants, for what, and how often it was used. */
export const listHandlesRoute = (deps: { db: Kysely<Schema> }) =>
  route({
    method: 'GET',
    path: '/v1/grants/:id/handles',
    listener: 'api',
    summary: 'The handles of a grant',
    scope: 'grants:read',
    audit: 'handle.listed',
    params: z.strictObject({ id: z.uuid() }),
    answers: { 200: z.strictObject({ handles: z.array(handleAnswer) }) },
    problems: ['person_required', 'grant_not_found'],
    async handle({ principal, params: { id } }, audit) {
      await ownGrant(deps, ownerOf(principal), id);
      const handles = (await handlesOf(deps.db, [id])).map(handleView);
      const what = { resource: { type: 'grant', id }, details: { count: handles.length } };
      return audit.released(what, { status: 200, body: { handles } });
    },
  });
