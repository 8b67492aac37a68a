import { route } from '@postern/http';
import {
  administrators,
  findProvider,
  providerAnswer,
  providerParams,
  type ProviderRegistry,
  viewOf,
} from '../provider/registry.ts';

/** One of them. */
export const getProviderRoute = (deps: ProviderRegistry) =>
  route({
    ...administrators,
    method: 'GET',
    path: '/v1/providers/:id',
    summary: 'One provider of the tenant',
    scope: 'grants:read',
    audit: 'providers.listed',
    params: providerParams,
    answers: { 200: providerAnswer },
    problems: ['provider_not_found'],
    async handle({ principal: { tenant }, params: { id } }, audit) {
      const body = viewOf(deps, await findProvider(deps.db, tenant, id));
      return audit.released({ resource: { type: 'provider', id }, details: { count: 1 } }, { status: 200, body });
    },
  });
