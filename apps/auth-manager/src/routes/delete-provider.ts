import { noContent, route } from '@postern/http';
import { problem } from '@postern/runtime';
import { administrators, providerParams, type ProviderRegistry } from '../provider/registry.ts';

/**
 * Forgets a provider, with our keys and secret for it, once no grant needs it any more. Whoever stores a grant or redeems a code there
 * at that instant holds its row until the commit (`keep-registered.ts`), and is seen here then: the tokens it got would have nobody left
 * to revoke them. A code whose process died is waited for until its consent expires, ten minutes at most.
 */
export const deleteProviderRoute = (deps: ProviderRegistry) =>
  route({
    ...administrators,
    method: 'DELETE',
    path: '/v1/providers/:id',
    summary: 'Remove a provider that no grant needs any more, with our keys for it',
    scope: 'grants:write',
    audit: 'provider.unregistered',
    params: providerParams,
    answers: { 204: noContent },
    problems: ['provider_not_found', 'provider_in_use'],
    async handle({ principal: { tenant }, params: { id } }, audit) {
      const { db, providers, now } = deps;
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
        const redeeming = await tx
          .selectFrom('consents')
          .select('id')
          .where((one) => one.and({ tenant, provider: issuer, state: 'redeeming' }))
          .where('expires_at', '>', now())
          .executeTakeFirst();
        if (used ?? redeeming) throw problem('provider_in_use');
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
