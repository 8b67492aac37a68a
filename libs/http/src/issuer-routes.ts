import { JWKS_MAX_AGE_SECONDS, type Introspection, type Issuer, type RevocationSequence } from '@postern/issuer';
import { REVOCATIONS_PER_PAGE, revocationPage, type Principal } from '@postern/oidc';
import { z } from 'zod';
import { group } from './group.ts';
import { open } from './open.ts';
import { route } from './route.ts';

export type IssuerRoutes = {
  issuer: Pick<Issuer, 'jwks' | 'metadata'>;
  revocations: Pick<RevocationSequence, 'page'>;
  introspection: Introspection;
  /** Which may ask about tokens and follow revocations: the workloads of the trust table. */
  workloads: readonly string[];
  /** The origin of the api listener, where workloads ask (RFC 8705 section 5). */
  apiUrl?: string | undefined;
  /** What the issuer's metadata say besides (RFC 8414). */
  metadata?: () => Readonly<Record<string, unknown>>;
};

/** What every issuer of Postern answers: its keys, its metadata, its revocations, and whether a token of its lives. */
export const issuerRoutes = (deps: IssuerRoutes) =>
  group('Issuer', 'What verifies the tokens of this service: its keys, its metadata, its revocations.', [
    jwks(deps),
    metadata(deps),
    revocations(deps),
    introspect(deps),
  ]);

const publicKey = z.looseObject({
  kty: z.string().describe('key type (RFC 7517): EC, OKP or RSA'),
  kid: z.string().describe('the `kid` in the header of what it signed'),
});

const published = { listener: ['api', 'public'], access: 'anyone', audit: 'open' } as const;

/** RFC 7517: the public keys of what is signed here, the next ones included. */
const jwks = ({ issuer }: IssuerRoutes) =>
  route({
    ...published,
    method: 'GET',
    path: '/.well-known/jwks.json',
    summary: 'The public keys of this issuer',
    description: `A key set (RFC 7517), the next keys included; kept by caches for ${JWKS_MAX_AGE_SECONDS} seconds.`,
    cacheControl: `public, max-age=${JWKS_MAX_AGE_SECONDS}`,
    answers: { 200: z.strictObject({ keys: z.array(publicKey) }) },
    handle: async () => open({ status: 200, body: await issuer.jwks() }),
  });

/** RFC 8414. */
const metadata = ({ issuer, apiUrl, metadata: extra = () => ({}) }: IssuerRoutes) =>
  route({
    ...published,
    method: 'GET',
    path: '/.well-known/oauth-authorization-server',
    summary: 'What this issuer offers (RFC 8414)',
    cacheControl: 'public, max-age=300',
    answers: {
      200: z.looseObject({
        issuer: z.string().describe('the `iss` of its tokens'),
        jwks_uri: z.string().describe('where its public keys are'),
      }),
    },
    handle: () =>
      open({
        status: 200,
        body: issuer.metadata({ ...(apiUrl && { introspection_endpoint: `${apiUrl}/introspect` }), ...extra() }),
      }),
  });

/** R14: what a replica reads once a second, and as a snapshot (`after=0`) before it is ready. */
const revocations = ({ revocations: sequence, workloads }: IssuerRoutes) =>
  route({
    method: 'GET',
    path: '/v1/revocations',
    listener: 'api',
    summary: `The revocations of this issuer after a number, at most ${REVOCATIONS_PER_PAGE}, under a signed head`,
    description:
      'Every replica that trusts this issuer reads it once a second. The numbers have no gap: one that is missing was withheld.',
    access: 'workload',
    workloads,
    audit: 'open',
    query: z.strictObject({
      after: z.coerce
        .number()
        .int()
        .nonnegative()
        .max(Number.MAX_SAFE_INTEGER)
        .default(0)
        .describe('the number of the last revocation that is known; 0: all that still matter, a snapshot'),
    }),
    answers: { 200: revocationPage },
    handle: async ({ query: { after } }) => open({ status: 200, body: await sequence.page(after) }),
  });

/**
 * RFC 7662. A workload is told about tokens that are for it or that it holds; any other token, like one that does not
 * live, is just not active for it.
 */
const introspect = ({ introspection, workloads }: IssuerRoutes) =>
  route({
    method: 'POST',
    path: '/introspect',
    listener: 'api',
    summary: 'Whether a token of this issuer lives, and what it says (RFC 7662)',
    description:
      'Told are those a token is for, whoever holds it, and the client it was issued to. Any other token, like one that does not live, is `{"active":false}`.',
    access: 'workload',
    workloads,
    audit: 'token.introspected',
    tier: 'relaxed',
    consumes: 'form',
    errors: 'oauth',
    bodyLimit: 32_768,
    body: z.strictObject({
      token: z.string().min(1).max(16_384).describe('the token, as it was issued'),
      token_type_hint: z
        .enum(['access_token', 'refresh_token'])
        .optional()
        .describe('not needed; taken as RFC 7662 asks'),
    }),
    answers: {
      200: z.looseObject({
        active: z.boolean().describe('whether it lives and concerns the caller; only then its claims stand beside'),
      }),
    },
    problems: ['revocation_unavailable'],
    async handle({ body, workload, request }, audit) {
      const principal = await introspection.living(body.token);
      if (principal === null || !concerns(principal, workload, request.certificateThumbprint)) {
        return audit.released({ details: { active: false } }, { status: 200, body: { active: false } });
      }
      const { tokenId, tenant, binding, claims } = principal;
      return audit.released(
        // Of a token of the provider nobody here may know the tenant.
        { tenant: tenant === '' ? null : tenant, details: { active: true, tokenId } },
        {
          status: 200,
          body: { active: true, token_type: binding.kind === 'dpop' ? 'DPoP' : 'Bearer', ...claims },
        },
      );
    },
  });

/** A token concerns those it is for, who holds it, and the client of the provider that it was issued to. */
function concerns({ claims, binding }: Principal, workload: string, thumbprint: string | null): boolean {
  const audiences = Array.isArray(claims.aud) ? claims.aud : [claims.aud];
  const held = binding.kind === 'certificate' && binding.thumbprint === thumbprint;
  return held || audiences.includes(workload) || claims['azp'] === workload;
}
