import { z } from 'zod';
import { route } from '@postern/http';
import { Secret } from '@postern/runtime';
import { providerKindOf } from '../providers/tenant-provider.ts';
import { ownerOf } from '../secrets/owner.ts';
import { reserveSecret } from '../secrets/reserve-secret.ts';
import { type WriteSecret, writeSecret } from '../secrets/write-secret.ts';
import { secretEntry, secretName, secretValue } from './fields.ts';

/** Seed route: puts a secret into the tenant's provider. Here stay its name and where it lies. */
export const createSecret = (deps: WriteSecret) =>
  route({
    method: 'POST',
    path: '/create-secret',
    listener: ['api', 'public'],
    scope: 'secrets:write',
    tier: 'standard',
    audit: 'secret.created',
    summary: 'Stores a secret at the tenant’s provider',
    body: z.strictObject({ secret_name: secretName, secret_value: secretValue }),
    answers: { 201: z.strictObject(secretEntry) },
    problems: [
      'secret_exists',
      'secret_busy',
      'person_required',
      'provider_unavailable',
      'provider_unreachable',
      'provider_forbidden',
      'provider_failed',
    ],
    async handle({ principal, body }, audit) {
      const owner = ownerOf(principal);
      const name = body.secret_name;
      const provider = await providerKindOf(deps.db, owner.tenant);
      const reserved = await reserveSecret(deps.db, { owner, name, provider, now: deps.now() });
      const resource = { type: 'secret', id: reserved.id };
      const details = { provider: reserved.provider, name };
      return audit.effect({ resource, details }, async () => {
        const value = new Secret(body.secret_value);
        const {
          createdAt,
          generation: _generation,
          ...held
        } = await writeSecret(deps, reserved, {
          owner,
          name,
          value,
          by: { subjectToken: principal.token },
        });
        const entry = { ...held, created_at: createdAt.toISOString() };
        return { what: { resource, details }, answer: { status: 201, body: entry } };
      });
    },
  });
