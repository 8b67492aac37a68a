import { z } from 'zod';
import { route } from '@postern/http';
import { problem } from '@postern/runtime';
import { deleteSecret, destroySecret, recoverSecret, setEnabled } from '../../secrets/change-state.ts';
import { ofOwner, reachSecret } from '../../secrets/reach-secret.ts';
import { ownerOf } from '../../secrets/owner.ts';
import { type RunWrites } from '../../secrets/writes/run-write.ts';
import { PROVIDER_PROBLEMS } from '../provider-problems.ts';
import { named, secretView, viewOf } from './secret-view.ts';

const WRITE_PROBLEMS = [
  ...PROVIDER_PROBLEMS,
  'secret_not_found',
  'secret_deleted',
  'secret_busy',
  'secret_not_deleted',
] as const;

const changes = {
  enable: {
    audit: 'secret.enabled',
    scope: 'secrets:write',
    verb: 'update',
    summary: 'Enable a secret',
    run: (...[deps, secret, asked, attempt]: Change) => setEnabled(deps, secret, { ...asked, enabled: true }, attempt),
  },
  disable: {
    audit: 'secret.disabled',
    scope: 'secrets:write',
    verb: 'update',
    summary: 'Disable a secret: it is not read until it is enabled',
    run: (...[deps, secret, asked, attempt]: Change) => setEnabled(deps, secret, { ...asked, enabled: false }, attempt),
  },
  recover: {
    audit: 'secret.restored',
    scope: 'secrets:delete',
    verb: 'delete',
    summary: 'Take the deletion of a secret back',
    run: recoverSecret,
  },
} as const;

type Change = Parameters<typeof deleteSecret>;

/** `POST /v1/secrets/:name/enable`, `/disable` and `/recover`. */
export const secretStates = (deps: RunWrites) =>
  (Object.keys(changes) as (keyof typeof changes)[]).map((change) =>
    route({
      method: 'POST',
      path: `/v1/secrets/:name/${change}`,
      listener: 'api',
      scope: changes[change].scope,
      audit: changes[change].audit,
      summary: changes[change].summary,
      params: named,
      query: z.strictObject(ofOwner),
      answers: { 200: secretView },
      problems: WRITE_PROBLEMS,
      async handle({ principal, params: { name }, query }, audit) {
        const owner = ownerOf(principal);
        const secret = await reachSecret(deps.db, principal, { name, ...query }, changes[change].verb);
        const resource = { type: 'secret', id: secret.id };
        const details = { provider: secret.place.kind, name };
        return audit.effect({ resource, details }, async (attempt) => {
          const asked = { owner, by: { subjectToken: principal.token } };
          const held = await changes[change].run(deps, secret, asked, attempt);
          return { what: { resource, details }, answer: { status: 200, body: viewOf(held ?? secret) } };
        });
      },
    }),
  );

/** Deletes a secret so that it can be recovered. */
export const deleteSecretRoute = (deps: RunWrites) =>
  route({
    method: 'DELETE',
    path: '/v1/secrets/:name',
    listener: 'api',
    scope: 'secrets:delete',
    audit: 'secret.deleted',
    summary: 'Delete a secret so that it can be recovered',
    params: named,
    query: z.strictObject(ofOwner),
    answers: { 200: secretView },
    problems: WRITE_PROBLEMS,
    async handle({ principal, params: { name }, query }, audit) {
      const owner = ownerOf(principal);
      const secret = await reachSecret(deps.db, principal, { name, ...query }, 'delete');
      const resource = { type: 'secret', id: secret.id };
      const details = { provider: secret.place.kind, name };
      return audit.effect({ resource, details }, async (attempt) => {
        const asked = { owner, by: { subjectToken: principal.token } };
        const held = await deleteSecret(deps, secret, asked, attempt);
        return { what: { resource, details }, answer: { status: 200, body: viewOf(held ?? secret) } };
      });
    },
  });

/** Destroys a secret for good. Its name is said again, so that no wrong path does it. */
export const destroySecretRoute = (deps: RunWrites) =>
  route({
    method: 'POST',
    path: '/v1/secrets/:name/destroy',
    listener: 'api',
    scope: 'secrets:delete',
    audit: 'secret.destroyed',
    summary: 'Destroy a secret with all its versions, for good',
    params: named,
    query: z.strictObject(ofOwner),
    body: z.strictObject({ confirm: z.string().max(256).describe('the name once more') }),
    answers: {
      200: z.strictObject({ id: z.uuid(), name: z.string().describe('its name'), status: z.literal('destroyed') }),
    },
    problems: [...WRITE_PROBLEMS, 'confirmation_differs'],
    async handle({ principal, params: { name }, query, body }, audit) {
      const owner = ownerOf(principal);
      const secret = await reachSecret(deps.db, principal, { name, ...query }, 'delete');
      if (body.confirm !== name) throw problem('confirmation_differs');
      const { id } = secret;
      const resource = { type: 'secret', id };
      const details = { provider: secret.place.kind, name };
      return audit.effect({ resource, details }, async (attempt) => {
        await destroySecret(deps, secret, { owner, by: { subjectToken: principal.token } }, attempt);
        return { what: { resource, details }, answer: { status: 200, body: { id, name, status: 'destroyed' } } };
      });
    },
  });
