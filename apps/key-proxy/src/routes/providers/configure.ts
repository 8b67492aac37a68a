import { type Kysely } from 'kysely';
import { z } from 'zod';
import { type BranchKeys } from '@postern/branch-keys';
import { route } from '@postern/http';
import { type Now, problem } from '@postern/runtime';
import { type Schema } from '../../db/schema.ts';
import { heldPlace, placeNamed, setOwnDefault, setTenantDefault } from '../../providers/choose-place.ts';
import { configurationOf } from '../../providers/configuration.ts';
import {
  checkConfiguration,
  keepConfiguration,
  removeConfiguration,
  sealConfiguration,
} from '../../providers/configure-provider.ts';
import { type ProviderPool } from '../../providers/provider-pool.ts';
import { ownerOf } from '../../secrets/owner.ts';
import { PROVIDER_PROBLEMS } from '../provider-problems.ts';
import { configuredView } from './list-providers.ts';

export type ConfigureDeps = { db: Kysely<Schema>; providers: ProviderPool; branchKeys: BranchKeys; now: Now };

export const providerName = z
  .string()
  .regex(/^[a-z0-9][a-z0-9-]{0,62}$/)
  .describe("the tenant's name for a provider");
const named = z.strictObject({ name: providerName });
const kinds = ['aws', 'azure', 'gcp', 'openbao'] as const;

/** An administrator configures a provider under a name: checked at once, sealed, never returned; again: replaced. */
export const putProvider = (deps: ConfigureDeps) =>
  route({
    method: 'PUT',
    path: '/v1/providers/:name',
    listener: 'api',
    scope: 'secrets:configure',
    role: 'admin',
    tier: 'sensitive',
    audit: 'provider.configured',
    summary: 'Configure a provider, or replace its credentials',
    params: named,
    body: z.strictObject({
      kind: z.enum(kinds),
      credentials: z
        .record(z.string().max(64), z.unknown())
        .describe('what it is reached with, by its kind; sealed, and never given out again'),
    }),
    answers: { 200: configuredView },
    problems: [...PROVIDER_PROBLEMS, 'credentials_refused', 'provider_name_taken'],
    async handle({ principal: { tenant }, params: { name }, body }, audit) {
      const configuration = configurationOf(body.kind, body.credentials, 'body.credentials');
      const kept = await sealConfiguration(deps, { tenant, name, configuration });
      await checkConfiguration(deps.providers, tenant, configuration);
      return deps.db.transaction().execute(async (tx) => {
        const at = deps.now();
        const { kind, settings } = await keepConfiguration(tx, { ...kept, tenant, name, configuration }, at);
        const time = at.toISOString();
        return audit.within(
          tx,
          { resource: { type: 'provider', id: kept.id }, details: { provider: name, kind } },
          { status: 200, body: { name, kind, settings: { ...settings }, configured_at: time, checked_at: time } },
        );
      });
    },
  });

/** Whether a configured provider answers now, and takes its credentials. */
export const checkProvider = (deps: ConfigureDeps) =>
  route({
    method: 'POST',
    path: '/v1/providers/:name/check',
    listener: 'api',
    scope: 'secrets:configure',
    role: 'admin',
    tier: 'sensitive',
    audit: 'provider.tested',
    summary: 'Check a configured provider',
    params: named,
    answers: { 200: z.strictObject({ name: z.string().describe('of the provider'), healthy: z.literal(true) }) },
    problems: [...PROVIDER_PROBLEMS, 'provider_unknown'],
    async handle({ principal, params: { name } }, audit) {
      const place = await placeNamed(deps.db, principal.tenant, name);
      const provider = await deps.providers.at(place);
      await provider.check(deps.providers.call({ subjectToken: principal.token }));
      return audit.released(
        { details: { provider: name, healthy: true } },
        { status: 200, body: { name, healthy: true } },
      );
    },
  });

export const deleteProvider = (deps: ConfigureDeps) =>
  route({
    method: 'DELETE',
    path: '/v1/providers/:name',
    listener: 'api',
    scope: 'secrets:configure',
    role: 'admin',
    tier: 'sensitive',
    audit: 'provider.removed',
    summary: 'Remove a provider that no secret lies at',
    params: named,
    answers: { 200: z.strictObject({ name: z.string().describe('of the provider'), status: z.literal('removed') }) },
    problems: ['provider_unknown', 'provider_in_use'],
    async handle({ principal, params: { name } }, audit) {
      return deps.db.transaction().execute(async (tx) => {
        const { id } = await removeConfiguration(tx, principal.tenant, name);
        const what = { resource: { type: 'provider', id }, details: { provider: name } };
        return audit.within(tx, what, { status: 200, body: { name, status: 'removed' } });
      });
    },
  });

/** Where new secrets go: of the caller, or, said by an administrator, of everyone in the tenant who has chosen nothing. */
export const setDefault = (deps: ConfigureDeps) =>
  route({
    method: 'PUT',
    path: '/v1/provider-default',
    listener: 'api',
    scope: 'secrets:write',
    audit: 'provider.configured',
    summary: 'Set where new secrets go',
    body: z.strictObject({ name: providerName, of: z.enum(['me', 'tenant']).default('me') }),
    answers: { 200: z.strictObject({ name: z.string().describe('of the provider'), of: z.enum(['me', 'tenant']) }) },
    problems: ['person_required', 'provider_unknown', 'administrator_required'],
    async handle({ principal, body: { name, of } }, audit) {
      const owner = ownerOf(principal);
      const isAdmin = principal.roles.has('admin') && principal.scopes.has('secrets:configure');
      if (of === 'tenant' && !isAdmin) throw problem('administrator_required');
      return deps.db.transaction().execute(async (tx) => {
        const place = await heldPlace(tx, owner.tenant, name);
        if (of === 'tenant') await setTenantDefault(tx, place, deps.now());
        else await setOwnDefault(tx, owner, place.configuration);
        const details = { provider: name, kind: place.kind };
        return audit.within(tx, { details }, { status: 200, body: { name, of } });
      });
    },
  });
