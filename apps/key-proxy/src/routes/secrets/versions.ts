import { z } from 'zod';
import { route } from '@postern/http';
import { assertFits } from '../../secrets/assert-fits.ts';
import { setEnabled } from '../../secrets/change-state.ts';
import { ofOwner, reachSecret } from '../../secrets/reach-secret.ts';
import { listVersions } from '../../secrets/list-versions.ts';
import { ownerOf } from '../../secrets/owner.ts';
import { putVersion } from '../../secrets/put-version.ts';
import { valueTypes } from '../../secrets/secret-value.ts';
import { type RunWrites } from '../../secrets/writes/run-write.ts';
import { secretName } from '../fields.ts';
import { PROVIDER_PROBLEMS } from '../provider-problems.ts';
import { newValue, oneOfBoth, valueFrom } from './new-value.ts';
import { BODY_LIMIT, named, secretView, viewOf } from './secret-view.ts';

const MOST = 200;
const versionNumber = z.coerce.number().int().min(1).max(2_147_483_647).describe('number of a version');
const WRITE_PROBLEMS = [...PROVIDER_PROBLEMS, 'secret_not_found', 'secret_deleted', 'secret_busy'] as const;

/** The next version of a secret, given or generated; with `if_version` only over that one. */
export const putVersionRoute = (deps: RunWrites) =>
  route({
    method: 'POST',
    path: '/v1/secrets/:name/versions',
    listener: 'api',
    scope: 'secrets:write',
    audit: 'secret.updated',
    summary: 'Write the next version of a secret',
    params: named,
    query: z.strictObject(ofOwner),
    bodyLimit: BODY_LIMIT,
    body: z
      .strictObject({
        ...newValue,
        if_version: z.int().min(1).optional().describe('only where this is the newest: else it is refused'),
      })
      .refine(oneOfBoth, 'either `value` or `generate`'),
    answers: {
      201: secretView.extend({
        public_key: z.string().nullable().describe('of a key pair that was made: SPKI in PEM'),
      }),
    },
    problems: [...WRITE_PROBLEMS, 'version_conflict', 'value_too_large', 'rules_contradict'],
    async handle({ principal, params: { name }, query, body }, audit) {
      const owner = ownerOf(principal);
      const secret = await reachSecret(deps.db, principal, { name, ...query }, 'update');
      const { value, publicKey } = valueFrom(body);
      assertFits(secret.place.kind, value);
      const resource = { type: 'secret', id: secret.id };
      const details = { provider: secret.place.kind, name };
      return audit.effect({ resource, details }, async (attempt) => {
        const by = { subjectToken: principal.token };
        const asked = { owner, by, value, publicKey, ifVersion: body.if_version };
        const held = await putVersion(deps, secret, asked, attempt);
        return {
          what: { resource: { ...resource, version: held.version }, details },
          answer: { status: 201, body: { ...viewOf(held), public_key: publicKey } },
        };
      });
    },
  });

/** The versions of a secret, newest first, without their values. */
export const listVersionsRoute = (deps: Pick<RunWrites, 'db'>) =>
  route({
    method: 'GET',
    path: '/v1/secrets/:name/versions',
    listener: 'api',
    scope: 'secrets:read',
    audit: 'secrets.listed',
    summary: 'List the versions of a secret',
    params: named,
    query: z.strictObject({
      ...ofOwner,
      before: versionNumber.optional().describe('`next` of the page before'),
      limit: z.coerce.number().int().min(1).max(MOST).default(MOST).describe('versions a page'),
    }),
    answers: {
      200: z.strictObject({
        versions: z.array(
          z.strictObject({
            version: z.int().describe('counted from 1'),
            provider_version: z.string().describe("the provider's own name of it"),
            type: z.enum(valueTypes),
            bytes: z.int().nullable().describe('length of the value; null: not known'),
            state: z.enum(['enabled', 'disabled']),
            public_key: z.string().nullable().describe('of a key pair that was made: SPKI in PEM'),
            created_at: z.iso.datetime(),
          }),
        ),
        next: z.int().nullable().describe('give it as `before` for the next page; null at the end'),
      }),
    },
    problems: ['person_required', 'secret_not_found'],
    async handle({ principal, params: { name }, query }, audit) {
      const secret = await reachSecret(deps.db, principal, { name, ...query }, 'read');
      const held = await listVersions(deps.db, secret.id, query);
      const versions = held.map((one) => ({
        version: one.version,
        provider_version: one.providerVersion,
        type: one.type,
        bytes: one.bytes,
        state: one.state,
        public_key: one.publicKey,
        created_at: one.createdAt.toISOString(),
      }));
      const next = held.length === query.limit ? (held.at(-1)?.version ?? null) : null;
      return audit.released({ details: { count: held.length } }, { status: 200, body: { versions, next } });
    },
  });

/** Disables or enables one version. */
const setVersionEnabled = (deps: RunWrites, enabled: boolean) =>
  route({
    method: 'POST',
    path: `/v1/secrets/:name/versions/:version/${enabled ? 'enable' : 'disable'}`,
    listener: 'api',
    scope: 'secrets:write',
    audit: enabled ? 'secret.enabled' : 'secret.disabled',
    summary: enabled ? 'Enable a version of a secret' : 'Disable a version of a secret',
    params: z.strictObject({ name: secretName, version: versionNumber }),
    query: z.strictObject(ofOwner),
    answers: { 200: secretView },
    problems: [...WRITE_PROBLEMS, 'version_not_found'],
    async handle({ principal, params: { name, version }, query }, audit) {
      const owner = ownerOf(principal);
      const secret = await reachSecret(deps.db, principal, { name, ...query }, 'update');
      const resource = { type: 'secret', id: secret.id, version };
      const details = { provider: secret.place.kind, name };
      return audit.effect({ resource, details }, async (attempt) => {
        const asked = { owner, by: { subjectToken: principal.token }, enabled, version };
        const held = await setEnabled(deps, secret, asked, attempt);
        return { what: { resource, details }, answer: { status: 200, body: viewOf(held ?? secret) } };
      });
    },
  });

export const versionStates = (deps: RunWrites) => [setVersionEnabled(deps, true), setVersionEnabled(deps, false)];
