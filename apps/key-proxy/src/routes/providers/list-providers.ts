import { type Kysely } from 'kysely';
import { z } from 'zod';
import { route } from '@postern/http';
import { type Schema } from '../../db/schema.ts';
import { capabilities, limits, operations } from '../../providers/capabilities.ts';
import { choosePlace } from '../../providers/choose-place.ts';
import { listConfigurations } from '../../providers/configure-provider.ts';
import { type Providers } from '../../providers/open-providers.ts';
import { providerKinds } from '../../providers/provider-kind.ts';
import { ownerOf } from '../../secrets/owner.ts';

export const configuredView = z.strictObject({
  name: z.string().describe("the tenant's name for it"),
  kind: z.enum(providerKinds),
  settings: z.record(z.string(), z.string()).describe('what is no secret'),
  configured_at: z.iso.datetime().nullable(),
  checked_at: z.iso.datetime().nullable(),
});

/** What each kind of provider can do and takes, and what the caller's tenant has configured. */
export const listProviders = (deps: { db: Kysely<Schema>; providers: Providers }) =>
  route({
    method: 'GET',
    path: '/v1/providers',
    listener: 'api',
    scope: 'secrets:read',
    audit: 'provider.read',
    summary: 'Providers: what each can do, its limits, and those of the tenant',
    answers: {
      200: z.strictObject({
        kinds: z.array(
          z.strictObject({
            kind: z.enum(providerKinds),
            operations: z
              .record(z.enum(operations), z.enum(['native', 'emulated', 'unsupported']))
              .describe('what it does by itself, what this service does for it, and what there is not'),
            limits: z.strictObject({
              value_bytes: z.int().describe('the longest text, in UTF-8'),
              binary_bytes: z.int().describe('the longest value of bytes'),
              reference_characters: z.int().describe('the longest name at the provider'),
              tags: z.int().describe('as many as a secret may have'),
              versions: z.int().nullable().describe('as many as are kept; null: no limit'),
              recovery_days: z.int().nullable().describe('for which a deleted secret can be had back'),
            }),
          }),
        ),
        configured: z.array(configuredView),
        default: z.string().nullable().describe('where the caller’s new secrets go'),
      }),
    },
    problems: ['person_required'],
    async handle({ principal }, audit) {
      const configured = await listConfigurations(deps.db, principal.tenant);
      const place = await choosePlace(deps.db, ownerOf(principal));
      const chosen = configured.find(({ id }) => id === (place.configuration ?? 'crypto-store'));
      const kinds = deps.providers.kinds.map((kind) => ({
        kind,
        operations: capabilities[kind],
        limits: {
          value_bytes: limits[kind].valueBytes,
          binary_bytes: limits[kind].binaryBytes,
          reference_characters: limits[kind].referenceCharacters,
          tags: limits[kind].tags,
          versions: limits[kind].versions,
          recovery_days: limits[kind].recoveryDays,
        },
      }));
      const shown = configured.map(({ name, kind, settings, configuredAt, checkedAt }) => ({
        name,
        kind,
        settings: { ...settings },
        configured_at: configuredAt?.toISOString() ?? null,
        checked_at: checkedAt?.toISOString() ?? null,
      }));
      return audit.released(
        { details: { provider: 'all' } },
        { status: 200, body: { kinds, configured: shown, default: chosen?.name ?? null } },
      );
    },
  });
