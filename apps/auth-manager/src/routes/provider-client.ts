import { open, route } from '@postern/http';
import { z } from 'zod';
import type { Providers } from '../provider/open-providers.ts';

/** Our public keys as a client of the provider, the next one included: what its administrator registers, or names as `jwks_uri`. */
export const providerClientRoute = ({ providers }: { providers: Pick<Providers, 'clientKeys'> }) =>
  route({
    method: 'GET',
    path: '/.well-known/provider-client.json',
    listener: 'public',
    summary: 'Public key of this service as a client of the identity provider',
    access: 'anyone',
    audit: 'open',
    cacheControl: 'public, max-age=300',
    answers: {
      200: z.strictObject({ keys: z.array(z.looseObject({ kty: z.string().describe('key type (RFC 7517)') })) }),
    },
    handle: async () => open({ status: 200, body: { keys: (await providers.clientKeys()) as { kty: string }[] } }),
  });
