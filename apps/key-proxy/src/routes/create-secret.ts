import { z } from 'zod';
import { quotaOf, route } from '@postern/http';
import { choosePlace } from '../providers/choose-place.ts';
import { assertReachable } from '../providers/open-providers.ts';
import { assertFits } from '../secrets/assert-fits.ts';
import { createSecret, type CreateSecret } from '../secrets/create-secret.ts';
import { ownerOf } from '../secrets/owner.ts';
import { createdBefore, createKeyOf } from '../secrets/repeated-create.ts';
import { reserveSecret } from '../secrets/reserve-secret.ts';
import { textValue } from '../secrets/secret-value.ts';
import { entryOf, secretEntry, secretName, secretValue } from './fields.ts';
import { PROVIDER_PROBLEMS } from './provider-problems.ts';

/** Seed route: puts a secret where the caller's new ones go. Here stay its name and where it lies. */
export const createSecretRoute = (deps: CreateSecret) =>
  route({
    method: 'POST',
    path: '/create-secret',
    listener: ['api', 'public'],
    scope: 'secrets:write',
    tier: 'standard',
    audit: 'secret.created',
    idempotency: 'accepted',
    summary: 'Stores a secret at the tenant’s provider',
    body: z.strictObject({ secret_name: secretName, secret_value: secretValue }),
    answers: { 201: z.strictObject(secretEntry) },
    problems: [
      ...PROVIDER_PROBLEMS,
      'secret_exists',
      'secret_busy',
      'quota_exceeded',
      'name_too_long',
      'value_too_large',
    ],
    async handle({ principal, body, idempotency }, audit) {
      const owner = ownerOf(principal);
      const name = body.secret_name;
      const value = textValue(body.secret_value);
      const createKey = await createKeyOf(deps.branchKeys, owner, idempotency);
      const before = await createdBefore(deps.db, owner, createKey);
      if (before) {
        const { id, place } = before.secret;
        const what = { reason: 'repeated', resource: { type: 'secret', id }, details: { provider: place.kind, name } };
        return audit.released(what, { status: 201, body: entryOf(before.secret) });
      }
      const place = await choosePlace(deps.db, owner);
      assertReachable(deps.providers, place.kind);
      assertFits(place.kind, value);
      const mostSecrets = quotaOf(principal, 'key-proxy').secrets;
      const taken = { owner, name, place, createKey, mostSecrets, now: deps.now() };
      const reserved = await reserveSecret(deps.db, taken);
      const resource = { type: 'secret', id: reserved.id };
      const details = { provider: reserved.place.kind, name };
      return audit.effect({ resource, details }, async (attempt) => {
        const by = { subjectToken: principal.token };
        const held = await createSecret(deps, reserved, { owner, by, value }, attempt);
        return { what: { resource, details }, answer: { status: 201, body: entryOf(held) } };
      });
    },
  });
