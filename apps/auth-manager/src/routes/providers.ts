import { noContent, open, route, type Route } from '@postern/http';
import type { Principal } from '@postern/oidc';
import type { Profile } from '@postern/profile';
import type { Egress } from '@postern/egress';
import type { Kysely, Selectable } from 'kysely';
import { type Now, problem, uuidv7 } from '@postern/runtime';
import { z } from 'zod';
import type { ProvidersTable, Schema } from '../db/schema.ts';
import { scope } from '../grants/grant-answer.ts';
import { ownerOf } from '../grants/owner-of.ts';
import type { Vault } from '../grants/vault.ts';
import { discover } from '../provider/discover.ts';
import type { Providers } from '../provider/open-providers.ts';
import { heldKeys, makeNextKey, publicHalf } from '../provider/service-keys.ts';

export type ProviderRoutes = {
  db: Kysely<Schema>;
  vault: Vault;
  providers: Providers;
  tenantEgress: Egress;
  profile: Profile;
  publicUrl: string;
  callbackUrl: string;
  now: Now;
};

type ProviderRow = Selectable<ProvidersTable>;

const issuerUrl = z
  .url({ protocol: /^https$/ })
  .max(512)
  .refine((value) => !/[?#]/.test(value) && !new URL(value).username, 'an issuer has no query, fragment or user');
const clientId = z.string().regex(/^[\x21-\x7e]{1,128}$/);
const name = z
  .string()
  .trim()
  .min(1)
  .max(80)
  .regex(/^[^\p{Cc}\p{Cf}\p{Co}\p{Cn}]*$/u);
const scopes = z.array(scope).max(64);
const instant = z.iso.datetime();

const provider = z.strictObject({
  id: z.uuid(),
  issuer: z.string(),
  client_id: z.string(),
  name: z.string(),
  scopes,
  state: z.enum(['active', 'disabled']),
  created_at: instant,
  /** What its administrator registers for us. */
  register: z.strictObject({
    redirect_uri: z.url(),
    jwks_uri: z.url(),
    backchannel_logout_uri: z.url(),
    token_endpoint_auth_method: z.literal('private_key_jwt'),
  }),
});
const offers = z.strictObject({
  pushed_requests: z.boolean(),
  signed_responses: z.boolean(),
  issuer_in_responses: z.boolean(),
  backchannel_logout: z.boolean(),
  end_session: z.boolean(),
});
const params = z.strictObject({ id: z.uuid() });

const DEFAULT_LEAD_SECONDS = 900;
const MOST_LEAD_SECONDS = 30 * 24 * 3600;

/**
 * The providers that a tenant's administrators register: where persons of that issuer consent. None becomes an issuer
 * whose tokens this or any other service takes (R1): those stand in the operator's table alone.
 */
export const providerRoutes = (deps: ProviderRoutes): Route[] => [
  register(deps),
  list(deps),
  read(deps),
  change(deps),
  remove(deps),
  rotate(deps),
  jwks(deps),
];

const viewOf = (
  { publicUrl, callbackUrl }: Pick<ProviderRoutes, 'publicUrl' | 'callbackUrl'>,
  row: ProviderRow,
): z.output<typeof provider> => ({
  id: row.id,
  issuer: row.issuer,
  client_id: row.client_id,
  name: row.name,
  scopes: row.scopes,
  state: row.state,
  created_at: row.created_at.toISOString(),
  register: {
    redirect_uri: callbackUrl,
    jwks_uri: `${publicUrl}/v1/providers/${row.id}/jwks.json`,
    backchannel_logout_uri: `${publicUrl}/v1/backchannel-logout`,
    token_endpoint_auth_method: 'private_key_jwt',
  },
});

/** @throws Problem `provider_not_found`, for another tenant's as for none. */
async function findProvider(db: Kysely<Schema>, tenant: string, id: string): Promise<ProviderRow> {
  const row = await db
    .selectFrom('providers')
    .selectAll()
    .where((one) => one.and({ id, tenant }))
    .executeTakeFirst();
  if (!row) throw problem('provider_not_found');
  return row;
}

const admin = { listener: 'api', role: 'admin' } as const;

const register = (deps: ProviderRoutes) =>
  route({
    ...admin,
    method: 'POST',
    path: '/v1/providers',
    summary: 'Register an OpenID Connect provider of the tenant, by discovery',
    scope: 'grants:write',
    audit: 'provider.registered',
    tier: 'sensitive',
    body: z.strictObject({ issuer: issuerUrl, client_id: clientId, name, scopes: scopes.default([]) }),
    answers: { 201: z.strictObject({ ...provider.shape, offers }) },
    problems: ['provider_exists', 'provider_unfit', 'provider_unavailable', 'address_refused', 'keys_unavailable'],
    async handle({ principal: { tenant }, body }, audit) {
      const { db, providers, tenantEgress, profile, now } = deps;
      const { issuer, client_id, name: called, scopes: known } = body;
      // The operator's own is one already, and stays the operator's.
      if (issuer === providers.operator.issuer) throw problem('provider_exists');
      const offered = await discover(tenantEgress, issuer, profile);
      const at = { tenant, provider: issuer };
      // Its keys are there before anybody is told where they are published.
      for (const use of ['client', 'dpop'] as const) await heldKeys(deps, at, use);
      return db.transaction().execute(async (tx) => {
        const row = await tx
          .insertInto('providers')
          .values({
            id: uuidv7(),
            tenant,
            issuer,
            client_id,
            name: called,
            scopes: known,
            created_at: now(),
            updated_at: now(),
          })
          .onConflict((conflict) => conflict.doNothing())
          .returningAll()
          .executeTakeFirst();
        if (!row) throw problem('provider_exists');
        return audit.within(
          tx,
          { resource: { type: 'provider', id: row.id }, details: { issuer, client: client_id } },
          { status: 201, body: { ...viewOf(deps, row), offers: offered } },
        );
      });
    },
  });

const list = (deps: ProviderRoutes) =>
  route({
    ...admin,
    method: 'GET',
    path: '/v1/providers',
    summary: 'The providers of the tenant',
    scope: 'grants:read',
    audit: 'providers.listed',
    answers: { 200: z.strictObject({ providers: z.array(provider) }) },
    async handle({ principal: { tenant } }, audit) {
      const rows = await deps.db
        .selectFrom('providers')
        .selectAll()
        .where('tenant', '=', tenant)
        .orderBy('id')
        .limit(200)
        .execute();
      const providers = rows.map((row) => viewOf(deps, row));
      return audit.released({ details: { count: rows.length } }, { status: 200, body: { providers } });
    },
  });

const read = (deps: ProviderRoutes) =>
  route({
    ...admin,
    method: 'GET',
    path: '/v1/providers/:id',
    summary: 'One provider of the tenant',
    scope: 'grants:read',
    audit: 'providers.listed',
    params,
    answers: { 200: provider },
    problems: ['provider_not_found'],
    async handle({ principal: { tenant }, params: { id } }, audit) {
      const body = viewOf(deps, await findProvider(deps.db, tenant, id));
      return audit.released({ resource: { type: 'provider', id }, details: { count: 1 } }, { status: 200, body });
    },
  });

const change = (deps: ProviderRoutes) =>
  route({
    ...admin,
    method: 'PATCH',
    path: '/v1/providers/:id',
    summary: 'Change a provider: a disabled one takes no consents, and its grants rest',
    scope: 'grants:write',
    audit: 'provider.changed',
    params,
    body: z
      .strictObject({
        name: name.optional(),
        scopes: scopes.optional(),
        state: z.enum(['active', 'disabled']).optional(),
      })
      .refine((body) => Object.keys(body).length > 0, 'names something to change'),
    answers: { 200: provider },
    problems: ['provider_not_found'],
    async handle({ principal: { tenant }, params: { id }, body }, audit) {
      const { db, providers, now } = deps;
      const { name: called, scopes: known, state } = body;
      const released = await db.transaction().execute(async (tx) => {
        const row = await tx
          .updateTable('providers')
          .set({
            updated_at: now(),
            ...(called === undefined ? {} : { name: called }),
            ...(known === undefined ? {} : { scopes: known }),
            ...(state === undefined ? {} : { state }),
          })
          .where((one) => one.and({ id, tenant }))
          .returningAll()
          .executeTakeFirst();
        if (!row) throw problem('provider_not_found');
        providers.forget({ tenant, provider: row.issuer });
        const what = { resource: { type: 'provider', id }, details: { issuer: row.issuer, fields: Object.keys(body) } };
        return audit.within(tx, what, { status: 200, body: viewOf(deps, row) });
      });
      return released;
    },
  });

const remove = (deps: ProviderRoutes) =>
  route({
    ...admin,
    method: 'DELETE',
    path: '/v1/providers/:id',
    summary: 'Remove a provider that no grant needs any more, with our keys for it',
    scope: 'grants:write',
    audit: 'provider.unregistered',
    params,
    answers: { 204: noContent },
    problems: ['provider_not_found', 'provider_in_use'],
    async handle({ principal: { tenant }, params: { id } }, audit) {
      const { db, providers } = deps;
      return db.transaction().execute(async (tx) => {
        const row = await tx
          .selectFrom('providers')
          .selectAll()
          .where((one) => one.and({ id, tenant }))
          .forUpdate()
          .executeTakeFirst();
        if (!row) throw problem('provider_not_found');
        const { issuer } = row;
        const used = await tx
          .selectFrom('grants')
          .select('id')
          .where((one) => one.and({ tenant, provider: issuer }))
          .where('sealed_token', 'is not', null)
          .executeTakeFirst();
        if (used) throw problem('provider_in_use');
        await tx.deleteFrom('providers').where('id', '=', id).execute();
        await tx
          .deleteFrom('provider_keys')
          .where((one) => one.and({ tenant, provider: issuer }))
          .execute();
        providers.forget({ tenant, provider: issuer });
        return audit.within(tx, { resource: { type: 'provider', id }, details: { issuer } }, { status: 204 });
      });
    },
  });

/** `own` is the operator's provider: that of the administrator's own realm, which has one tenant (R1). */
const rotatedId = z.union([z.uuid(), z.literal('own')]);

async function keysAt(deps: ProviderRoutes, principal: Principal, id: z.output<typeof rotatedId>) {
  if (id !== 'own')
    return { tenant: principal.tenant, provider: (await findProvider(deps.db, principal.tenant, id)).issuer };
  const { issuer } = deps.providers.operator;
  if (ownerOf(principal).issuer !== issuer) throw problem('provider_not_found');
  if (deps.providers.keyIsAFile) throw problem('key_is_a_file');
  return { tenant: '', provider: issuer };
}

const rotate = (deps: ProviderRoutes) =>
  route({
    ...admin,
    method: 'POST',
    path: '/v1/providers/:id/keys',
    summary: 'Make the next client key: published at once, signing after a while (`own`: for the operator’s provider)',
    scope: 'grants:write',
    audit: 'key.rotated',
    params: z.strictObject({ id: rotatedId }),
    body: z.strictObject({
      /** Long enough for the provider to have read our keys again, or for its administrator to have entered the new one. */
      active_after_seconds: z.int().min(0).max(MOST_LEAD_SECONDS).default(DEFAULT_LEAD_SECONDS),
    }),
    answers: { 201: z.strictObject({ number: z.int(), active_from: instant }) },
    problems: ['person_required', 'provider_not_found', 'key_is_a_file', 'keys_unavailable'],
    async handle({ principal, params: { id }, body }, audit) {
      const at = await keysAt(deps, principal, id);
      const activeFrom = new Date(deps.now().getTime() + body.active_after_seconds * 1_000);
      // The first key may never have been needed: then it is made before the next.
      await heldKeys(deps, at, 'client');
      const released = await deps.db.transaction().execute(async (tx) => {
        const number = await makeNextKey(tx, deps, at, activeFrom);
        const what = {
          resource: { type: 'provider', id },
          details: { purpose: 'provider-client', keyId: String(number) },
        };
        return audit.within(tx, what, { status: 201, body: { number, active_from: activeFrom.toISOString() } });
      });
      deps.providers.forget(at);
      return released;
    },
  });

const jwks = (deps: ProviderRoutes) =>
  route({
    method: 'GET',
    path: '/v1/providers/:id/jwks.json',
    listener: 'public',
    summary: 'Our public keys as a client of a tenant’s provider, the next one included',
    access: 'anyone',
    audit: 'open',
    cacheControl: 'public, max-age=300',
    params,
    answers: { 200: z.strictObject({ keys: z.array(z.looseObject({ kty: z.string() })) }) },
    problems: ['provider_not_found'],
    async handle({ params: { id } }) {
      const row = await deps.db.selectFrom('providers').selectAll().where('id', '=', id).executeTakeFirst();
      if (!row) throw problem('provider_not_found');
      const { published } = await heldKeys(deps, { tenant: row.tenant, provider: row.issuer }, 'client');
      return open({ status: 200, body: { keys: published.map(publicHalf) } });
    },
  });
