import { z } from 'zod';
import { quotaOf, route } from '@postern/http';
import { choosePlace } from '../../providers/choose-place.ts';
import { assertFits } from '../../secrets/assert-fits.ts';
import { createSecret, type CreateSecret } from '../../secrets/create-secret.ts';
import { ofOwner, reachSecret } from '../../secrets/reach-secret.ts';
import { ownerOf } from '../../secrets/owner.ts';
import { readSecret, type ReadSecret } from '../../secrets/read-secret.ts';
import { createdBefore, createKeyOf } from '../../secrets/repeated-create.ts';
import { reserveSecret } from '../../secrets/reserve-secret.ts';
import { secretName } from '../fields.ts';
import { PROVIDER_PROBLEMS } from '../provider-problems.ts';
import { named, secretView, viewOf } from './secret-view.ts';

/** A new secret with the newest value of another, at the same provider or at one that is named. Nobody sees the value. */
export const copySecret = (deps: CreateSecret & ReadSecret) =>
  route({
    method: 'POST',
    path: '/v1/secrets/:name/copy',
    listener: 'api',
    scope: 'secrets:write',
    audit: 'secret.copied',
    idempotency: 'accepted',
    summary: 'Copy a secret under another name',
    params: named,
    query: z.strictObject(ofOwner),
    body: z.strictObject({
      name: secretName,
      provider: z.string().max(63).optional().describe('where the copy shall lie; absent: the default'),
    }),
    answers: { 201: secretView },
    problems: [
      ...PROVIDER_PROBLEMS,
      'provider_unknown',
      'secret_not_found',
      'secret_deleted',
      'secret_expired',
      'secret_exists',
      'secret_busy',
      'quota_exceeded',
      'version_not_found',
      'name_too_long',
      'value_too_large',
    ],
    async handle({ principal, params, query, body, idempotency }, audit) {
      const owner = ownerOf(principal);
      const by = { subjectToken: principal.token };
      const source = await reachSecret(deps.db, principal, { name: params.name, ...query }, 'read');
      const createKey = await createKeyOf(deps.branchKeys, owner, idempotency);
      const before = await createdBefore(deps.db, owner, createKey);
      if (before) {
        const { id, name, place } = before.secret;
        const details = { from: source.place.kind, to: place.kind, name };
        const what = { reason: 'repeated', resource: { type: 'secret', id }, details };
        return audit.released(what, { status: 201, body: viewOf(before.secret) });
      }
      const place = body.provider === undefined ? source.place : await choosePlace(deps.db, owner, body.provider);
      const { value } = await readSecret(deps, source, {}, by, { fresh: true });
      assertFits(place.kind, value);
      const mostSecrets = quotaOf(principal, 'key-proxy').secrets;
      const taken = { owner, name: body.name, place, createKey, mostSecrets, now: deps.now() };
      const reserved = await reserveSecret(deps.db, taken);
      const resource = { type: 'secret', id: reserved.id };
      const details = { from: source.place.kind, to: place.kind, name: body.name };
      return audit.effect({ resource, details }, async (attempt) => {
        const held = await createSecret(deps, reserved, { owner, by, value }, attempt);
        return { what: { resource, details }, answer: { status: 201, body: viewOf(held) } };
      });
    },
  });
