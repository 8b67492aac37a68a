import { route } from '@postern/http';
import type { Introspection } from '@postern/issuer';
import type { Principal } from '@postern/oidc';
import { useOnce, queryIn } from '@postern/postgres';
import type { Kysely } from 'kysely';
import { type Now, problem, Secret } from '@postern/runtime';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { exchangeAtProvider, type ExchangeAtProvider } from '../grants/exchange-at-provider.ts';
import { scope } from '../grants/grant-answer.ts';
import type { AccessToken } from '../provider/provider-calls.ts';
import { refusalOf } from '../refresh/settle-and-refresh.ts';

export type ProviderExchange = ExchangeAtProvider & {
  db: Kysely<Schema>;
  introspection: Pick<Introspection, 'living'>;
  now: Now;
};

const audience = z.string().regex(/^[\x21-\x7e]{1,255}$/);
const proof = z
  .string()
  .max(4096)
  .regex(/^[\w-]+\.[\w-]+\.[\w-]+$/);

const body = z.strictObject({
  grant_token: z
    .string()
    .max(8192)
    .transform((text) => new Secret(text))
    .describe('the grant token, held by the caller of token-exchange'),
  exchange_id: z.uuid(),
  audience: z.array(audience).min(1).max(8).describe('as the provider names it'),
  scope: z.array(scope).min(1).max(64).describe('what the token shall have'),
  dpop: proof.optional().describe("proof of the caller's key for the refresh (RFC 9449)"),
  exchange_dpop: proof.optional().describe('the same for the exchange'),
});
type Asked = z.output<typeof body>;

const answers = {
  200: z.strictObject({
    access_token: z.string().describe('as the provider gave it'),
    token_type: z.enum(['DPoP', 'Bearer']),
    expires_in: z.int().positive().describe('seconds'),
    scope: z.string().describe('with spaces between'),
  }),
};

/**
 * R10: the provider exchange of a grant, which token-exchange asks for and nobody else. The grant token says whose grant it
 * is and what may be had of it; whose key the result is bound to, the job's proof says.
 */
export const providerExchangeRoute = (deps: ProviderExchange) =>
  route({
    method: 'POST',
    path: '/v1/grants/provider-exchange',
    listener: 'api',
    summary: 'The provider’s own token for the holder of a grant token; for token-exchange only',
    access: 'workload',
    workloads: ['token-exchange'],
    audit: 'grant.exchanged',
    body,
    answers,
    problems: [
      'grant_token_refused',
      'exchange_repeated',
      'exceeds_grant',
      'proof_required',
      'proof_refused',
      'grant_not_found',
      'reauthorization_required',
      'grant_ended',
      'grant_busy',
      'provider_refused',
      'provider_unavailable',
      'keys_unavailable',
    ],
    async handle({ body: asked }, audit) {
      const granted = await grantOf(deps, asked);
      await useExchangeOnce(deps, asked.exchange_id);
      const what = { tenant: granted.tenant, actor: granted.actor, resource: { type: 'grant', id: granted.grant.id } };
      const { scope: scopes, audience: audiences, exchange_id: exchange } = asked;
      const details = { provider: granted.grant.provider, scopes, audiences, exchange };
      return audit.effect({ ...what, details }, async () => {
        const got = await exchangeFor(deps, granted, asked);
        const ends = new Date(deps.now().getTime() + got.expiresIn * 1000);
        return {
          what: { ...what, details: { ...details, expiresAt: ends.toISOString(), refreshed: true } },
          answer: { status: 200, body: answerOf(got, scopes) },
        };
      });
    },
  });

const REMEMBERED_SECONDS = 86_400;

async function useExchangeOnce({ db, now }: ProviderExchange, id: string): Promise<void> {
  const expiresAt = new Date(now().getTime() + REMEMBERED_SECONDS * 1000);
  if (!(await useOnce(queryIn(db), 'provider-exchange', id, expiresAt))) throw problem('exchange_repeated');
}

/**
 * The token, where the grant is open still. A grant that was closed while the provider was asked gives nothing more (R14). The grant
 * token's own end is looked at when the provider is about to be asked: an answer that is slow after that takes nothing from whoever
 * was entitled to it, and what the provider gave lives as long as the provider says.
 */
async function exchangeFor(
  deps: ProviderExchange,
  { grant, until }: Granted,
  { scope: scopes, audience: audiences, dpop, exchange_dpop }: Asked,
): Promise<AccessToken> {
  const proofs = { refresh: dpop, exchange: exchange_dpop };
  const got = await exchangeAtProvider(deps, grant, { scopes, audiences, proofs, until });
  const now = await deps.db.selectFrom('grants').select('state').where('id', '=', grant.id).executeTakeFirst();
  if (now?.state !== 'active') throw refusalOf(now?.state ?? 'ended');
  return got;
}

const answerOf = (got: AccessToken, asked: readonly string[]): z.output<(typeof answers)[200]> => ({
  access_token: got.token.reveal(),
  token_type: got.type === 'DPoP' ? 'DPoP' : 'Bearer',
  expires_in: Math.max(1, Math.floor(got.expiresIn)),
  scope: (got.scopes ?? asked).join(' '),
});

type Granted = Awaited<ReturnType<typeof grantOf>>;

/** The grant that a living grant token names, for no more than the token allows. */
async function grantOf(
  { db, introspection }: ProviderExchange,
  { grant_token, audience: wanted, scope: scopes }: Asked,
) {
  const principal = await introspection.living(grant_token.reveal());
  const { grant_id: id, audiences } = principal?.claims ?? {};
  if (!principal || typeof id !== 'string' || !Array.isArray(audiences)) throw problem('grant_token_refused');
  const exceeds = wanted.some((one) => !audiences.includes(one)) || scopes.some((one) => !principal.scopes.has(one));
  if (exceeds) throw problem('exceeds_grant');
  const grant = await db
    .selectFrom('grants')
    .select(['id', 'tenant', 'provider'])
    .where((row) => row.and({ id, tenant: principal.tenant }))
    .executeTakeFirst();
  if (!grant) throw problem('grant_not_found');
  return { grant, tenant: principal.tenant, actor: actorOf(principal), until: principal.expiresAt };
}

const actorOf = ({ person, clientId }: Principal) => ({
  ...(person && { person }),
  client: clientId,
  workload: 'token-exchange',
});
