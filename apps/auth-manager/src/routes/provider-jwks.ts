import { open, route } from '@postern/http';
import { problem } from '@postern/runtime';
import { z } from 'zod';
import { providerParams, type ProviderRegistry } from '../provider/registry.ts';
import { heldKeys, publicHalf } from '../provider/service-keys.ts';

/** What a provider checks our assertions with (RFC 7517). */
export const providerJwksRoute = (deps: ProviderRegistry) =>
  route({
    method: 'GET',
    path: '/v1/providers/:id/jwks.json',
    listener: 'public',
    summary: 'Our public keys as a client of a tenant’s provider, the next one included',
    access: 'anyone',
    audit: 'open',
    cacheControl: 'public, max-age=300',
    params: providerParams,
    answers: {
      200: z.strictObject({ keys: z.array(z.looseObject({ kty: z.string().describe('key type (RFC 7517)') })) }),
    },
    problems: ['provider_not_found'],
    async handle({ params: { id } }) {
      const row = await deps.db.selectFrom('providers').selectAll().where('id', '=', id).executeTakeFirst();
      if (!row) throw problem('provider_not_found');
      const { published } = await heldKeys(deps, { tenant: row.tenant, provider: row.issuer }, 'client');
      return open({ status: 200, body: { keys: published.map(publicHalf) } });
    },
  });
