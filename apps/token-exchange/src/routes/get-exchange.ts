import { route } from '@postern/http';
import { problem } from '@postern/runtime';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { LINEAGE_LIMIT, lineageOf } from '../exchanges/lineage.ts';

const exchange = z.strictObject({
  id: z.string().describe("the minted token's `jti`"),
  parent: z
    .strictObject({
      id: z.string().describe('its `jti`'),
      issuer: z.string().describe('who signed it'),
      kind: z.string().describe('what kind of token it was'),
      client: z.string().describe('the client it was issued to'),
    })
    .describe('the subject token'),
  person: z
    .strictObject({
      issuer: z.string().describe('where the person is known'),
      sub: z.string().describe('the person there'),
    })
    .nullable(),
  workload: z.string().describe('who asked'),
  actors: z.array(z.string()).describe('everyone who acts, the caller first'),
  audience: z.string().describe('the first that was named'),
  audiences: z.array(z.string()).describe('all that the token is for'),
  scopes: z.array(z.string()).describe('what was granted'),
  decision: z.strictObject({
    rule: z.string().describe('which rule decided'),
    policyVersion: z.string().describe('of the policy then in force'),
    heldBy: z.string().describe('how the holder of the subject token was known'),
  }),
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
    description:
      'Where a token came from and what came of it, step by step. An exchange of another tenant is not there.',
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
