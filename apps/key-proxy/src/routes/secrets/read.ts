import { z } from 'zod';
import { route } from '@postern/http';
import { readKnown, type ReadKnown } from '../../secrets/cache/read-known.ts';
import { ofOwner, reachSecret } from '../../secrets/reach-secret.ts';
import { guardOf } from '../../secrets/secret-guard.ts';
import { valueTypes } from '../../secrets/secret-value.ts';
import { PROVIDER_PROBLEMS } from '../provider-problems.ts';
import { named, shownValue, value } from './secret-view.ts';

export const label = z
  .string()
  .regex(/^[a-zA-Z][a-zA-Z0-9_.-]{0,62}$/)
  .describe('name of a version');

/** One version of a secret with its value: the newest, one by its number, or one by its label. */
export const readSecretRoute = (deps: ReadKnown) =>
  route({
    method: 'GET',
    path: '/v1/secrets/:name',
    listener: 'api',
    scope: 'secrets:read',
    audit: 'secret.read',
    summary: 'Read a secret',
    params: named,
    query: z
      .strictObject({
        version: z.coerce.number().int().min(1).max(2_147_483_647).optional().describe('absent: the newest'),
        label: label.optional(),
        ...ofOwner,
      })
      .refine(({ version, label }) => version === undefined || label === undefined, 'version or label'),
    answers: {
      200: z.strictObject({
        id: z.uuid(),
        name: z.string().describe("the owner's name for it"),
        version: z.int().nullable().describe('null: written past this service'),
        provider_version: z.string().describe("the provider's own name of it"),
        type: z.enum(valueTypes),
        value,
        source: z.enum(['provider', 'cache']),
        age_seconds: z.int().describe('since it was read at the provider'),
      }),
    },
    problems: [...PROVIDER_PROBLEMS, 'secret_not_found', 'secret_deleted', 'secret_expired', 'version_not_found'],
    async handle({ principal, params: { name }, query, attempt }, audit) {
      const by = { subjectToken: principal.token };
      const reach = () => reachSecret(deps.db, principal, { name, ...query }, 'read');
      const { tenant, person } = principal;
      const asked = [tenant, person?.issuer, person?.sub, name, query.owner, query.owner_issuer];
      const wanted = { key: JSON.stringify(asked), reach, asked: query, by };
      const read = await readKnown(deps, wanted, { fresh: attempt > 0 });
      const { secret } = read;
      const { id, place } = secret;
      const pinned = query.version !== undefined || query.label !== undefined;
      return audit.released(
        {
          resource: { type: 'secret', id, ...(read.version === null ? {} : { version: read.version }) },
          details: { provider: place.kind, name },
          guard: guardOf(secret, pinned ? read.version : null),
        },
        {
          status: 200,
          body: {
            id,
            name,
            version: read.version,
            provider_version: read.providerVersion,
            type: read.value.type,
            value: shownValue(read.value),
            source: read.source,
            age_seconds: read.ageSeconds,
          },
        },
      );
    },
  });
