import { route } from '@postern/http';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { getGrant } from '../grants/find-grants.ts';
import { grantAnswer } from '../grants/grant-answer.ts';
import { ownerOf } from '../grants/owner-of.ts';

/** One of the person's own grants. */
export const getGrantRoute = (deps: { db: Kysely<Schema> }) =>
  route({
    method: 'GET',
    path: '/v1/grants/:id',
    listener: 'api',
    summary: 'One grant of the person',
    scope: 'grants:read',
    audit: 'grant.read',
    params: z.strictObject({ id: z.uuid() }),
    answers: { 200: grantAnswer },
    problems: ['person_required', 'grant_not_found'],
    async handle({ principal, params: { id } }, audit) {
      const body = await getGrant(deps, ownerOf(principal), id);
      return audit.released({ resource: { type: 'grant', id }, details: {} }, { status: 200, body });
    },
  });
