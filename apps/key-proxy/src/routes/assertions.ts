import { z } from 'zod';
import { open, route } from '@postern/http';
import { ASSERTION_KEYS_PATH, type Assertions, JWKS_MAX_AGE_SECONDS } from '@postern/issuer';

type Deps = { assertions: Pick<Assertions, 'jwks' | 'metadata'> };

/** On the public listener, which a cloud can reach. */
const published = {
  method: 'GET',
  listener: ['api', 'public'],
  access: 'anyone',
  audit: 'open',
  cacheControl: `public, max-age=${JWKS_MAX_AGE_SECONDS}`,
} as const;

/**
 * OpenID Connect Discovery 1.0 section 3, as far as a cloud asks it of who asserts a workload (R36): STS and Entra look for
 * the keys of assertions here, and nobody logs in by it.
 */
export const openIdConfiguration = ({ assertions }: Deps) =>
  route({
    ...published,
    path: '/.well-known/openid-configuration',
    summary: 'Where a cloud finds the keys of this service’s assertions',
    answers: {
      200: z.looseObject({
        issuer: z.string().describe('`iss` of the assertions'),
        jwks_uri: z.string().describe('where their keys are'),
      }),
    },
    handle: () => open({ status: 200, body: assertions.metadata() }),
  });

/** RFC 7517: the keys of assertions, which sign nothing else (R7). */
export const assertionKeys = ({ assertions }: Deps) =>
  route({
    ...published,
    path: ASSERTION_KEYS_PATH,
    summary: 'The public keys of what this service asserts to clouds',
    answers: {
      200: z.strictObject({
        keys: z.array(
          z.looseObject({
            kty: z.string().describe('key type (RFC 7517)'),
            kid: z.string().describe('as the header of an assertion names it'),
          }),
        ),
      }),
    },
    handle: async () => open({ status: 200, body: await assertions.jwks() }),
  });
