import { route } from '@postern/http';
import { problem, Secret } from '@postern/runtime';
import { z } from 'zod';
import { sealText } from '../grants/vault.ts';
import {
  administrators,
  clientSecret,
  findProvider,
  providerAnswer,
  providerName,
  providerParams,
  type ProviderRegistry,
  providerScopes,
  viewOf,
} from '../provider/registry.ts';

/** Changes a provider: a disabled one takes no consents, and its grants rest. A new secret takes the place of the old one. */
export const changeProviderRoute = (deps: ProviderRegistry) =>
  route({
    ...administrators,
    method: 'PATCH',
    path: '/v1/providers/:id',
    summary: 'Change a provider: a disabled one takes no consents, and its grants rest',
    scope: 'grants:write',
    audit: 'provider.changed',
    params: providerParams,
    body: z
      .strictObject({
        name: providerName.optional(),
        scopes: providerScopes.optional(),
        state: z.enum(['active', 'disabled']).optional(),
        client_secret: clientSecret.optional(),
      })
      .refine((body) => Object.keys(body).length > 0, 'names something to change'),
    answers: { 200: providerAnswer },
    problems: ['provider_not_found', 'no_client_secret', 'keys_unavailable'],
    async handle({ principal: { tenant }, params: { id }, body }, audit) {
      const { db, providers, vault, now } = deps;
      const { name, scopes, state, client_secret: secret } = body;
      const known = await findProvider(db, tenant, id);
      // How a client proves itself is agreed with the provider: another way is another registration.
      if (secret !== undefined && known.sealed_secret === null) throw problem('no_client_secret');
      const sealed_secret =
        secret === undefined
          ? undefined
          : await sealText(vault, { tenant, what: 'client-secret', id }, new Secret(secret));
      const released = await db.transaction().execute(async (tx) => {
        const row = await tx
          .updateTable('providers')
          .set({
            updated_at: now(),
            ...(name === undefined ? {} : { name }),
            ...(scopes === undefined ? {} : { scopes }),
            ...(state === undefined ? {} : { state }),
            ...(sealed_secret === undefined ? {} : { sealed_secret }),
          })
          .where((one) => one.and({ id, tenant }))
          .returningAll()
          .executeTakeFirst();
        if (!row) throw problem('provider_not_found');
        const what = { resource: { type: 'provider', id }, details: { issuer: row.issuer, fields: Object.keys(body) } };
        return audit.within(tx, what, { status: 200, body: viewOf(deps, row) });
      });
      providers.forget({ tenant, provider: known.issuer });
      return released;
    },
  });
