import { z } from 'zod';
import { noContent, route } from '@postern/http';
import { problem } from '@postern/runtime';
import { ofOwner, reachSecret } from '../../secrets/reach-secret.ts';
import { defineUse, findUse, removeUse } from '../../secrets/use/store-definition.ts';
import { headerValue, useDefinition } from '../../secrets/use/use-definition.ts';
import { type UseSecret, useSecret } from '../../secrets/use/use-secret.ts';
import { assertReadable } from '../../secrets/find-secret.ts';
import { PROVIDER_PROBLEMS } from '../provider-problems.ts';
import { named } from './secret-view.ts';

const PATH = '/v1/secrets/:name/use';
const FOUND = ['person_required', 'secret_not_found', 'secret_deleted', 'secret_disabled', 'secret_expired'];
const scalar = z.union([z.string(), z.number(), z.boolean(), z.null()]);

/** Says what a secret may be used for without being shown (R37): who may update it decides where it goes. */
export const defineUseRoute = (deps: UseSecret) =>
  route({
    method: 'PUT',
    path: PATH,
    listener: 'api',
    scope: 'secrets:write',
    audit: 'secret-use.defined',
    summary: 'Say what a secret may be used for without being shown',
    params: named,
    query: z.strictObject(ofOwner),
    body: useDefinition,
    answers: { 204: noContent },
    problems: [...FOUND, 'use_not_allowed'],
    async handle({ principal, params: { name }, query, body }, audit) {
      if (body.full_answer && !deps.displayEquivalentHosts.has(body.host)) {
        const fields = [{ field: 'body.full_answer', rule: 'only for a host that the operator lists' }];
        throw problem('use_not_allowed', { fields });
      }
      return deps.db.transaction().execute(async (tx) => {
        const { id } = await reachSecret(tx, principal, { name, ...query }, 'update');
        await defineUse(tx, id, body, deps.now());
        const answer = body.full_answer ? 'full' : body.answer_fields.length > 0 ? 'fields' : 'status';
        const { host, methods, placement } = body;
        const details = { host, methods: [...methods], placement: placement.kind, answer };
        return audit.within(tx, { resource: { type: 'secret', id }, details }, { status: 204 });
      });
    },
  });

export const readUseRoute = (deps: UseSecret) =>
  route({
    method: 'GET',
    path: PATH,
    listener: 'api',
    scope: 'secrets:use',
    audit: 'secret-use.read',
    summary: 'What a secret may be used for without being shown',
    params: named,
    query: z.strictObject(ofOwner),
    answers: { 200: useDefinition },
    problems: [...FOUND, 'use_not_defined'],
    async handle({ principal, params: { name }, query }, audit) {
      const { id } = await reachSecret(deps.db, principal, { name, ...query }, 'use');
      const { definition } = await findUse(deps.db, id);
      return audit.released({ resource: { type: 'secret', id }, details: {} }, { status: 200, body: definition });
    },
  });

export const removeUseRoute = (deps: UseSecret) =>
  route({
    method: 'DELETE',
    path: PATH,
    listener: 'api',
    scope: 'secrets:write',
    audit: 'secret-use.removed',
    summary: 'The secret may be used for nothing without being shown',
    params: named,
    query: z.strictObject(ofOwner),
    answers: { 204: noContent },
    problems: [...FOUND, 'use_not_defined'],
    async handle({ principal, params: { name }, query }, audit) {
      return deps.db.transaction().execute(async (tx) => {
        const { id } = await reachSecret(tx, principal, { name, ...query }, 'update');
        await removeUse(tx, id);
        return audit.within(tx, { resource: { type: 'secret', id }, details: {} }, { status: 204 });
      });
    },
  });

/** Uses a secret without showing it: one request to the defined host, and of its answer what the definition gives out. */
export const useRoute = (deps: UseSecret) =>
  route({
    method: 'POST',
    path: PATH,
    listener: 'api',
    scope: 'secrets:use',
    audit: 'secret.used',
    summary: 'Use a secret in one request without seeing it',
    description:
      'The request goes to the host of the definition with the secret in its place. The answer is its status, the declared fields, or the whole of it where the operator lists the host.',
    params: named,
    query: z.strictObject(ofOwner),
    body: z.strictObject({
      method: z.enum(['GET', 'HEAD', 'POST', 'PUT', 'PATCH', 'DELETE']),
      path: z.string().min(1).max(1024).describe('one that the pattern allows'),
      query: z.record(z.string().max(64), z.string().max(1024)).default({}).describe('those of `caller_query`'),
      headers: z
        .record(z.string().max(64).toLowerCase(), headerValue)
        .default({})
        .describe('those of `caller_headers`'),
      body: z.string().max(48_000).optional().describe('sent as UTF-8'),
    }),
    answers: {
      200: z.strictObject({
        status: z.int().min(200).max(599).describe('what the host answered'),
        fields: z.record(z.string(), scalar).describe('the declared fields of a JSON answer that were there'),
        body: z.string().nullable().describe('the whole answer, of hosts that the operator lists'),
      }),
    },
    problems: [
      ...FOUND,
      ...PROVIDER_PROBLEMS,
      'use_not_defined',
      'use_not_allowed',
      'use_impossible',
      'use_host_refused',
      'use_unreachable',
    ],
    async handle({ principal, params: { name }, query, body }, audit) {
      const secret = await reachSecret(deps.db, principal, { name, ...query }, 'use');
      assertReadable(secret, deps.now());
      const use = await findUse(deps.db, secret.id);
      const resource = { type: 'secret', id: secret.id };
      const details = { provider: secret.place.kind, host: use.definition.host, method: body.method };
      return audit.effect({ resource, details }, async () => {
        const by = { subjectToken: principal.token };
        const answer = await useSecret(deps, { secret, use, asked: body, by });
        return {
          what: { resource, details: { ...details, status: answer.status } },
          answer: { status: 200, body: answer },
        };
      });
    },
  });
