import { route } from '@postern/http';
import type { TrustTable } from '@postern/oidc';
import { evaluateTogether, policyDocument, subjectKinds, type Rule } from '@postern/policy';
import { problem } from '@postern/runtime';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { ExchangeRefused } from '../exchanges/refusal.ts';
import { assertSeen, insertPolicy, type PolicyStore } from '../policy/policy-store.ts';
import { mistakenWorkloads } from '../policy/same-workloads.ts';

export type PolicyRoutes = { db: Kysely<Schema>; policies: PolicyStore; trust: TrustTable; now: () => Date };

/** What an operator and an auditor may do with the policy document. */
export const policyRoutes = (deps: PolicyRoutes) => [getPolicy(deps), putPolicy(deps), evaluatePolicy(deps)];

const path = '/v1/policy';
/** A document of some thousand scopes and workloads. */
const MAX_POLICY_BYTES = 4 * 1024 * 1024;
const inForce = z.strictObject({
  version: z.string().describe('of the document, as its author named it'),
  contentHash: z.string().describe('its entity tag'),
});

const getPolicy = ({ policies }: PolicyRoutes) =>
  route({
    method: 'GET',
    path,
    listener: 'api',
    summary: 'The policy in force; its entity tag is what a change must name',
    scope: 'policy:read',
    audit: 'policy.read',
    answers: { 200: policyDocument },
    async handle(_, audit) {
      const { written, contentHash } = await policies.refresh();
      const what = { resource: { type: 'policy', id: written.version }, details: {} };
      return audit.released(what, { status: 200, body: written, headers: { etag: `"${contentHash}"` } });
    },
  });

/** Replaces the document as a whole. `If-Match` names the one that the caller has read (RFC 9110 section 13.1.1). */
const putPolicy = (deps: PolicyRoutes) =>
  route({
    method: 'PUT',
    path,
    listener: 'api',
    summary: 'Put a policy in force in the place of the one that the caller has read',
    scope: 'policy:write',
    role: 'operator',
    audit: 'policy.changed',
    bodyLimit: MAX_POLICY_BYTES,
    headers: z.strictObject({
      'if-match': z
        .string()
        .min(1)
        .max(128)
        .optional()
        .describe('the entity tag of the policy that was read (RFC 9110 section 13.1.1)'),
    }),
    body: policyDocument,
    answers: { 200: inForce },
    problems: ['policy_unseen', 'policy_changed', 'policy_version_used', 'policy_refused'],
    async handle({ principal, headers, body: document }, audit) {
      const mistaken = mistakenWorkloads(deps.trust, document);
      if (mistaken.length > 0) {
        throw problem('policy_refused', { fields: [{ field: 'body.workloads', rule: 'another_spiffe_id' }] });
      }
      const madeBy = principal.person?.sub ?? principal.clientId;
      return deps.db.transaction().execute((tx) =>
        deps.policies.change(tx, async (newest, within) => {
          assertSeen(newest, headers['if-match']);
          if (!(await insertPolicy(within, { document, source: 'api', madeBy }, deps.now()))) {
            throw problem('policy_version_used');
          }
          const [row] = await within<{ content_hash: string }>(
            'select content_hash from policies order by id desc limit 1',
          );
          const contentHash = row?.content_hash ?? '';
          const details = { version: document.version, previous: newest.written.version, contentHash };
          return audit.within(
            tx,
            { resource: { type: 'policy', id: document.version }, details },
            { status: 200, body: { version: document.version, contentHash } },
          );
        }),
      );
    },
  });

const name = z.string().min(1).max(128);
const names = z.array(name);
const request = z.strictObject({
  tenant: name.describe('of the subject'),
  person: z
    .strictObject({
      issuer: z.string().max(512).describe('where the person is known'),
      sub: z.string().max(512).describe('the person there'),
    })
    .nullable()
    .describe('null: a workload that speaks for itself'),
  roles: names.max(64).default([]).describe('roles of the person'),
  workload: name.describe('who would ask'),
  subjectClient: name.describe('to whom the subject token was issued (`azp`)'),
  subjectKind: z.enum(subjectKinds),
  audience: z.union([name, z.array(name).min(1).max(16)]).describe('several: for one token that all of them accept'),
  scopes: names.max(64).describe('what would be asked for'),
  ceiling: names.max(256).optional().describe('scopes of the subject token; absent: they limit nothing'),
  login: z
    .strictObject({
      acr: name.optional().describe('how strongly the person logged in'),
      ageSeconds: z.int().nonnegative().optional().describe('how long ago'),
    })
    .optional(),
});

/** The same words as the token endpoint uses. */
const becauseOf = (rule: Rule | undefined): string =>
  rule === undefined ? 'The permission allows it' : new ExchangeRefused(rule).answer.description;

/** Asks the policy without minting: which rule decides, and why. */
const evaluatePolicy = ({ policies }: PolicyRoutes) =>
  route({
    method: 'POST',
    path: '/v1/policy/evaluate',
    listener: 'api',
    summary: 'What the policy in force would decide, and by which rule',
    description: 'Nothing is minted and nothing asked of anybody: for who writes a policy.',
    scope: 'policy:read',
    audit: 'policy.read',
    body: request,
    answers: {
      200: z.strictObject({
        version: z.string().describe('of the policy in force'),
        granted: z.array(z.string()).describe('scopes that would be granted'),
        refused: z.array(
          z.strictObject({
            scope: z.string().describe('which scope'),
            rule: z.string().describe('which rule refuses it'),
            because: z.string().describe('the same in words'),
          }),
        ),
        denied: z.string().nullable().describe('the rule that refuses the whole request'),
        decidedBy: z.string().describe('which rule decided'),
        because: z.string().describe('why, in words'),
        loginNeeded: z
          .strictObject({
            acrValues: z.array(z.string()).describe('classes of login (`acr`), one of which will do'),
            maxAgeSeconds: z.int().optional().describe('how long ago that login may be'),
          })
          .nullable(),
        longestLifeSeconds: z.int().nonnegative().describe('of a token that would be minted'),
        minter: z.enum(['postern', 'provider']).nullable(),
      }),
    },
    async handle({ body: { audience, scopes, roles, ceiling, login, ...asked } }, audit) {
      const { document } = await policies.current();
      const { policyVersion, granted, refused, denied, loginNeeded, ...rest } = evaluateTogether(document, {
        ...asked,
        audiences: [audience].flat(),
        roles: new Set(roles),
        requestedScopes: scopes,
        ...(ceiling && { ceiling: new Set(ceiling) }),
        ...(login && { login }),
      });
      const body = {
        ...rest,
        version: policyVersion,
        granted: [...granted],
        refused: refused.map((one) => ({ ...one, because: becauseOf(one.rule) })),
        because: becauseOf(denied ?? refused[0]?.rule),
        loginNeeded: loginNeeded ? { ...loginNeeded, acrValues: [...loginNeeded.acrValues] } : null,
        denied: denied ?? null,
      };
      const what = { resource: { type: 'policy', id: policyVersion }, details: { rule: rest.decidedBy } };
      return audit.released(what, { status: 200, body });
    },
  });
