import { route } from '@postern/http';
import type { Kysely } from 'kysely';
import { type Now, problem } from '@postern/runtime';
import { z } from 'zod';
import { consentView, failureReasons, publicStates } from '../consents/consent.ts';
import type { Schema } from '../db/schema.ts';
import { ownedBy } from '../grants/grant.ts';
import { scope, workloadName } from '../grants/grant-answer.ts';
import { ownerOf } from '../grants/owner-of.ts';

const answer = z.strictObject({
  id: z.uuid(),
  state: z.enum(publicStates),
  reason: z.enum([...failureReasons, 'access_denied']).nullable(),
  grant: z.uuid().nullable(),
  scopes: z.array(scope),
  handle: z.strictObject({ workload: workloadName, audiences: z.array(workloadName), scopes: z.array(scope) }),
  expires_at: z.iso.datetime(),
});

/** What became of a consent: for the person it was started for, and the client that started it. */
export const getConsentRoute = ({ db, now }: { db: Kysely<Schema>; now: Now }) =>
  route({
    method: 'GET',
    path: '/v1/consents/:id',
    listener: 'api',
    summary: 'Status of a consent',
    scope: 'grants:write',
    audit: 'grant.read',
    params: z.strictObject({ id: z.uuid() }),
    answers: { 200: answer },
    problems: ['person_required', 'consent_not_found'],
    async handle({ principal, params: { id } }, audit) {
      const owner = ownerOf(principal);
      const consent = await db
        .selectFrom('consents')
        .selectAll()
        .where((row) => row.and({ id, started_by: principal.clientId, ...ownedBy(owner) }))
        .executeTakeFirst();
      if (!consent) throw problem('consent_not_found');
      const body = answer.parse(consentView(consent, now()));
      return audit.released({ resource: { type: 'consent', id }, details: {} }, { status: 200, body });
    },
  });
