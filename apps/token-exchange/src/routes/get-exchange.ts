import { route } from '@postern/http';
import { problem } from '@postern/runtime';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { LINEAGE_LIMIT, lineageOf } from '../exchanges/lineage.ts';

const exchange = z.strictObject({
  /** The minted token's `jti`. */
  id: z.string(),
  /** The subject token's `jti` and who signed it. */
  parent: z.strictObject({ id: z.string(), issuer: z.string(), kind: z.string(), client: z.string() }),
  person: z.strictObject({ issuer: z.string(), sub: z.string() }).nullable(),
  workload: z.string(),
  actors: z.array(z.string()),
  /** The first that was named. */
  audience: z.string(),
  audiences: z.array(z.string()),
  scopes: z.array(z.string()),
  decision: z.strictObject({ rule: z.string(), policyVersion: z.string(), heldBy: z.string() }),
  createdAt: z.iso.datetime(),
  expiresAt: z.iso.datetime(),
});

/** Where a token came from and what came of it: each step with its subject, actors, audience, scopes and the deciding rule. */
export const getExchange = (deps: { db: Kysely<Schema>; issuer: { issuer: string } }) =>
  route({
    method: 'GET',
    path: '/v1/exchanges/:id',
    listener: 'api',
    summary: 'One exchange with its ancestors and descendants',
    scope: 'exchanges:read',
    audit: 'exchange.read',
    params: z.strictObject({ id: z.uuid() }),
    answers: {
      200: z.strictObject({
        exchange,
        ancestors: z.array(exchange),
        descendants: z.array(exchange).max(LINEAGE_LIMIT),
      }),
    },
    problems: ['exchange_not_found'],
    async handle({ principal: { tenant }, params: { id } }, audit) {
      const found = await lineageOf(deps.db, deps.issuer, { tenant, id });
      if (!found) throw problem('exchange_not_found');
      const body = {
        exchange: answerOf(found.exchange),
        ancestors: found.ancestors.map(answerOf),
        descendants: found.descendants.map(answerOf),
      };
      return audit.released({ resource: { type: 'exchange', id }, details: {} }, { status: 200, body });
    },
  });

const answerOf = (row: Schema['exchanges']): z.output<typeof exchange> => ({
  id: row.id,
  parent: { id: row.parent, issuer: row.parent_issuer, kind: row.subject_kind, client: row.subject_client },
  person:
    row.person_issuer !== null && row.person_sub !== null ? { issuer: row.person_issuer, sub: row.person_sub } : null,
  workload: row.workload,
  actors: row.actors,
  audience: row.audience,
  audiences: [row.audience, ...row.more_audiences],
  scopes: row.scopes,
  decision: { rule: row.decided_by, policyVersion: row.policy_version, heldBy: row.held_by },
  createdAt: row.created_at.toISOString(),
  expiresAt: row.expires_at.toISOString(),
});
