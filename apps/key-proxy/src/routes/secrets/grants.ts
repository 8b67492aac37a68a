import { type Kysely } from 'kysely';
import { z } from 'zod';
import { noContent, route } from '@postern/http';
import { type Now } from '@postern/runtime';
import { type Schema } from '../../db/schema.ts';
import { findSecret } from '../../secrets/find-secret.ts';
import { grant, listGrants, withdraw } from '../../secrets/grants.ts';
import { ownerOf } from '../../secrets/owner.ts';
import { verbs } from '../../secrets/verbs.ts';
import { named } from './secret-view.ts';

export type GrantDeps = { db: Kysely<Schema>; now: Now };

const PROBLEMS = ['person_required', 'secret_not_found', 'secret_deleted'];
const verbList = z.array(z.enum(verbs)).min(1).max(verbs.length);
const ofGrantee = {
  sub: z.string().min(1).max(256).describe('the person'),
  issuer: z
    .url({ protocol: /^https$/ })
    .max(256)
    .optional()
    .describe('default: the caller’s own issuer'),
};

/** Who else may do what with one's secret. */
export const listGrantsRoute = ({ db }: GrantDeps) =>
  route({
    method: 'GET',
    path: '/v1/secrets/:name/grants',
    listener: 'api',
    scope: 'secrets:read',
    audit: 'secret-grant.listed',
    summary: 'Who else may do what with one’s secret',
    params: named,
    answers: {
      200: z.strictObject({
        grants: z.array(
          z.strictObject({
            issuer: z.string().describe('where the person is known'),
            sub: z.string().describe('the person there'),
            verbs: verbList,
            granted_at: z.iso.datetime(),
          }),
        ),
      }),
    },
    problems: PROBLEMS,
    async handle({ principal, params: { name } }, audit) {
      const { id } = await findSecret(db, ownerOf(principal), name);
      const grants = (await listGrants(db, id)).map(({ grantedAt, ...entry }) => ({
        ...entry,
        granted_at: grantedAt.toISOString(),
      }));
      const what = { resource: { type: 'secret', id }, details: { count: grants.length } };
      return audit.released(what, { status: 200, body: { grants } });
    },
  });

/** Lets a person of one's tenant read, use, update or delete one's secret; what they might before is replaced. */
export const grantRoute = ({ db, now }: GrantDeps) =>
  route({
    method: 'PUT',
    path: '/v1/secrets/:name/grants',
    listener: 'api',
    scope: 'secrets:write',
    audit: 'secret-grant.changed',
    summary: 'Lets a person of the tenant read, use, update or delete one’s secret',
    params: named,
    body: z.strictObject({ ...ofGrantee, verbs: verbList }),
    answers: { 204: noContent },
    problems: [...PROBLEMS, 'too_many_grants'],
    async handle({ principal, params: { name }, body }, audit) {
      const owner = ownerOf(principal);
      return db.transaction().execute(async (tx) => {
        const { id } = await findSecret(tx, owner, name);
        const granted = [...new Set(body.verbs)];
        await grant(tx, id, { issuer: body.issuer ?? owner.issuer, sub: body.sub, verbs: granted }, now());
        const what = { resource: { type: 'secret', id }, details: { grantee: body.sub, verbs: granted } };
        return audit.within(tx, what, { status: 204 });
      });
    },
  });

/** Takes back what a person may do; nothing is released to them from then on (R32). */
export const withdrawRoute = ({ db }: GrantDeps) =>
  route({
    method: 'DELETE',
    path: '/v1/secrets/:name/grants',
    listener: 'api',
    scope: 'secrets:write',
    audit: 'secret-grant.removed',
    summary: 'Takes back what a person may do with one’s secret',
    params: named,
    query: z.strictObject(ofGrantee),
    answers: { 204: noContent },
    problems: [...PROBLEMS, 'grant_not_found'],
    async handle({ principal, params: { name }, query }, audit) {
      const owner = ownerOf(principal);
      return db.transaction().execute(async (tx) => {
        const { id } = await findSecret(tx, owner, name);
        await withdraw(tx, id, { issuer: query.issuer ?? owner.issuer, sub: query.sub });
        const what = { resource: { type: 'secret', id }, details: { grantee: query.sub } };
        return audit.within(tx, what, { status: 204 });
      });
    },
  });
