import { route } from '@postern/http';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { listGrants } from '../grants/find-grants.ts';
import { grantAnswer } from '../grants/grant-answer.ts';
import { ownerOf } from '../grants/owner-of.ts';

/** The person's own grants. */
export const listGrantsRoute = (deps: { db: Kysely<Schema> }) =>
  route({
    method: 'GET',
    path: '/v1/grants',
    listener: 'api',
    summary: 'The person’s grants',
    scope: 'grants:read',
    audit: 'grant.listed',
    answers: { 200: z.strictObject({ grants: z.array(grantAnswer) }) },
    problems: ['person_required'],
    async handle({ principal }, audit) {
      const grants = await listGrants(deps, ownerOf(principal));
      return audit.released({ details: { count: grants.length } }, { status: 200, body: { grants } });
    },
  });
