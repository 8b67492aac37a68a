import { z } from 'zod';
import { quotaOf, route } from '@postern/http';
import { choosePlace } from '../../providers/choose-place.ts';
import { assertReachable } from '../../providers/open-providers.ts';
import { assertFits, assertTagsFit } from '../../secrets/assert-fits.ts';
import { createSecret, type CreateSecret } from '../../secrets/create-secret.ts';
import { ownerOf } from '../../secrets/owner.ts';
import { createdBefore, createKeyOf } from '../../secrets/repeated-create.ts';
import { reserveSecret } from '../../secrets/reserve-secret.ts';
import { PROVIDER_PROBLEMS } from '../provider-problems.ts';
import { newValue, oneOfBoth, valueFrom } from './new-value.ts';
import { BODY_LIMIT, named, secretView, settings, viewOf } from './secret-view.ts';
import { settingsOf } from './settings-of.ts';

/** A new secret of the caller, at the provider that they name or at the one where their secrets go. */
export const createSecretAt = (deps: CreateSecret) =>
  route({
    method: 'POST',
    path: '/v1/secrets/:name',
    listener: 'api',
    scope: 'secrets:write',
    audit: 'secret.created',
    idempotency: 'accepted',
    summary: 'Create a secret',
    params: named,
    bodyLimit: BODY_LIMIT,
    body: z
      .strictObject({
        ...newValue,
        provider: z.string().max(63).optional().describe('where it shall lie; absent: the default'),
        ...settings,
      })
      .refine(oneOfBoth, 'either `value` or `generate`'),
    answers: {
      201: secretView.extend({
        public_key: z.string().nullable().describe('of a key pair that was made: SPKI in PEM'),
      }),
    },
    problems: [
      ...PROVIDER_PROBLEMS,
      'provider_unknown',
      'secret_exists',
      'secret_busy',
      'quota_exceeded',
      'secret_not_found',
      'name_too_long',
      'value_too_large',
      'too_many_tags',
      'rules_contradict',
    ],
    async handle({ principal, params: { name }, body, idempotency }, audit) {
      const owner = ownerOf(principal);
      const { value: given, generate, provider, ...rest } = body;
      const wanted = settingsOf(rest);
      const createKey = await createKeyOf(deps.branchKeys, owner, idempotency);
      const before = await createdBefore(deps.db, owner, createKey);
      if (before) {
        const answer = { status: 201, body: { ...viewOf(before.secret), public_key: before.publicKey } } as const;
        const { id, place } = before.secret;
        const what = { reason: 'repeated', resource: { type: 'secret', id }, details: { provider: place.kind, name } };
        return audit.released(what, answer);
      }
      const place = await choosePlace(deps.db, owner, provider);
      const { value: created, publicKey } = valueFrom({ value: given, generate });
      assertReachable(deps.providers, place.kind);
      assertFits(place.kind, created);
      assertTagsFit(place.kind, wanted.tags ?? {});
      const mostSecrets = quotaOf(principal, 'key-proxy').secrets;
      const taken = { owner, name, place, createKey, settings: wanted, mostSecrets, now: deps.now() };
      const reserved = await reserveSecret(deps.db, taken);
      const resource = { type: 'secret', id: reserved.id };
      const details = { provider: reserved.place.kind, name };
      return audit.effect({ resource, details }, async (attempt) => {
        const by = { subjectToken: principal.token };
        const asked = { owner, by, value: created, tags: wanted.tags ?? {}, publicKey };
        const held = await createSecret(deps, reserved, asked, attempt);
        return {
          what: { resource, details },
          answer: { status: 201, body: { ...viewOf(held), public_key: publicKey } },
        };
      });
    },
  });
