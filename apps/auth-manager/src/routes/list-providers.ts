import { route } from '@postern/http';
import { z } from 'zod';
import { administrators, providerAnswer, type ProviderRegistry, viewOf } from '../provider/registry.ts';

/** The providers that the tenant has registered. */
export const listProvidersRoute = (deps: ProviderRegistry) =>
  route({
    ...administrators,
    method: 'GET',
    path: '/v1/providers',
    summary: 'The providers of the tenant',
    scope: 'grants:read',
    audit: 'providers.listed',
    answers: { 200: z.strictObject({ providers: z.array(providerAnswer) }) },
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
