import { route } from '@postern/http';
import { z } from 'zod';
import { cursorOf, nextPage, pageQuery } from '../administration/page-query.ts';
import { administrators, providerAnswer, type ProviderRegistry, viewOf } from '../provider/registry.ts';

const MOST_AT_ONCE = 200;

/** The providers that the tenant has registered, in the order of their ids, a page at a time. */
export const listProvidersRoute = (deps: ProviderRegistry) =>
  route({
    ...administrators,
    method: 'GET',
    path: '/v1/providers',
    summary: 'The providers of the tenant, in pages',
    scope: 'grants:read',
    audit: 'providers.listed',
    query: z.strictObject(pageQuery('providers', MOST_AT_ONCE)),
    answers: { 200: z.strictObject({ providers: z.array(providerAnswer), next: nextPage }) },
    async handle({ principal: { tenant }, query: { cursor: after, limit = MOST_AT_ONCE } }, audit) {
      const rows = await deps.db
        .selectFrom('providers')
        .selectAll()
        .where('tenant', '=', tenant)
        .$if(after !== undefined, (query) => query.where('id', '>', after ?? ''))
        .orderBy('id')
        .limit(limit + 1)
        .execute();
      const page = rows.slice(0, limit);
      const next = rows.length > limit ? (page.at(-1)?.id ?? null) : null;
      const providers = page.map((row) => viewOf(deps, row));
      return audit.released(
        { details: { count: page.length } },
        { status: 200, body: { providers, next: cursorOf(next) } },
      );
    },
  });
