import { route } from '@postern/http';
import { problem, Secret, uuidv7 } from '@postern/runtime';
import { z } from 'zod';
import { sealText } from '../grants/vault.ts';
import { discover } from '../provider/discover.ts';
import {
  administrators,
  clientSecret,
  providerAnswer,
  providerName,
  type ProviderRegistry,
  providerScopes,
  viewOf,
} from '../provider/registry.ts';
import { heldKeys } from '../provider/service-keys.ts';

const issuerUrl = z
  .url({ protocol: /^https$/ })
  .max(512)
  .refine((value) => !/[?#]/.test(value) && !new URL(value).username, 'an issuer has no query, fragment or user');
const clientId = z.string().regex(/^[\x21-\x7e]{1,128}$/);
const offers = z.strictObject({
  pushed_requests: z.boolean().describe('RFC 9126'),
  signed_responses: z.boolean().describe('JARM'),
  issuer_in_responses: z.boolean().describe('RFC 9207'),
  backchannel_logout: z.boolean().describe('OpenID Connect Back-Channel Logout 1.0'),
  end_session: z.boolean().describe('RP-initiated logout'),
  revocation: z.boolean().describe('RFC 7009'),
  introspection: z.boolean().describe('RFC 7662'),
});

/**
 * A tenant registers a provider: where persons of that issuer consent. It becomes no issuer whose tokens this or any other
 * service takes (R1): those stand in the operator's table alone. `client_secret` is for the low profile only, at a provider
 * that knows no better; it is sealed, and never shown again.
 */
export const registerProviderRoute = (deps: ProviderRegistry) =>
  route({
    ...administrators,
    method: 'POST',
    path: '/v1/providers',
    summary: 'Register an OpenID Connect provider of the tenant, by discovery',
    scope: 'grants:write',
    audit: 'provider.registered',
    tier: 'sensitive',
    body: z.strictObject({
      issuer: issuerUrl.describe('`iss` of its tokens; its metadata are read there (RFC 8414)'),
      client_id: clientId.describe('this service as a client there'),
      name: providerName,
      scopes: providerScopes.default([]),
      client_secret: clientSecret.optional(),
    }),
    answers: { 201: z.strictObject({ ...providerAnswer.shape, offers }) },
    problems: ['provider_exists', 'provider_unfit', 'provider_unavailable', 'address_refused', 'keys_unavailable'],
    async handle({ principal: { tenant }, body }, audit) {
      const { db, providers, tenantEgress, profile, vault, now } = deps;
      const { issuer, client_id, name, scopes, client_secret: secret } = body;
      // The operator's own is one already, and stays the operator's.
      if (issuer === providers.operator.issuer) throw problem('provider_exists');
      const by = secret === undefined ? 'private_key_jwt' : 'client_secret_basic';
      const offered = await discover(tenantEgress, issuer, profile, by);
      const id = uuidv7();
      const at = { tenant, provider: issuer };
      // Its keys are there before anybody is told where they are published.
      for (const use of ['client', 'dpop'] as const) await heldKeys(deps, at, use);
      const sealed_secret =
        secret === undefined ? null : await sealText(vault, { tenant, what: 'client-secret', id }, new Secret(secret));
      return db.transaction().execute(async (tx) => {
        const row = await tx
          .insertInto('providers')
          .values({ id, tenant, issuer, client_id, name, scopes, sealed_secret, created_at: now(), updated_at: now() })
          .onConflict((conflict) => conflict.doNothing())
          .returningAll()
          .executeTakeFirst();
        if (!row) throw problem('provider_exists');
        return audit.within(
          tx,
          { resource: { type: 'provider', id }, details: { issuer, client: client_id } },
          { status: 201, body: { ...viewOf(deps, row), offers: offered } },
        );
      });
    },
  });
