import { route, type RouteAudit } from '@postern/http';
import type { Kysely } from 'kysely';
import { type Now, problem } from '@postern/runtime';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { countLimitedUse } from '../grants/count-use.ts';
import type { HandleAt, UsableGrant } from '../grants/find-handle.ts';
import { scope, workloadName } from '../grants/grant-answer.ts';
import { grantScopes } from '../grants/grant-scopes.ts';
import { GRANT_TOKEN_AUDIENCE } from '../grants/grant-token-claims.ts';
import { guardOf } from '../grants/handle-guard.ts';
import type { MintedTokens } from '../grants/minted-tokens.ts';
import type { ProviderTokens } from '../grants/provider-token.ts';
import type { UsableGrants } from '../grants/usable-grants.ts';
import type { Confirm } from '../refresh/confirm-grant.ts';

export type UseGrant = {
  db: Kysely<Schema>;
  usableGrants: UsableGrants;
  confirm: Confirm;
  mintedTokens: MintedTokens;
  providerTokens: ProviderTokens;
  /** Whether a token may be bound to nobody (the low profile): only then is the provider's own given to a job here. */
  unboundAllowed: boolean;
  now: Now;
};

const tokenType = (name: string) => `urn:ietf:params:oauth:token-type:${name}`;
const JWT_TYPE = tokenType('jwt');
const ACCESS_TOKEN_TYPE = tokenType('access_token');

const answers = {
  200: z.strictObject({
    access_token: z.string().describe('a grant token, or the access token of the provider'),
    issued_token_type: z.enum([JWT_TYPE, ACCESS_TOKEN_TYPE]),
    token_type: z.enum(['N_A', 'Bearer']),
    expires_in: z.int().positive().describe('seconds'),
    scope: z.string().describe('with spaces between'),
  }),
};

const declaration = {
  method: 'POST',
  listener: 'api',
  scope: 'grants:use',
  audit: 'grant.used',
  params: z.strictObject({ id: z.uuid() }),
  body: z.strictObject({
    audience: workloadName.describe('the service that it is for'),
    scopes: z.array(scope).min(1).max(64).optional().describe('absent: all of the handle'),
  }),
  answers,
  problems: [
    'grant_not_found',
    'handle_spent',
    'nothing_granted',
    'provider_token_refused',
    'reauthorization_required',
    'grant_ended',
    'grant_busy',
    'provider_refused',
    'provider_unavailable',
    'keys_unavailable',
  ],
} as const;

/** The token for the job that a grant's handle names: by the certificate of the connection, never by the id alone (R11). */
export const useGrantRoute = (deps: UseGrant) =>
  route({
    ...declaration,
    path: '/v1/grants/:id/access-token',
    summary: 'A token of a grant, for the job that its handle names',
    handle: (input, audit) => use(deps, { grantId: input.params.id }, input, audit),
  });

/** The same by the handle's own id, where a job has several. */
export const useHandleRoute = (deps: UseGrant) =>
  route({
    ...declaration,
    path: '/v1/handles/:id/access-token',
    summary: 'A token of a grant, for the job that this handle names',
    handle: (input, audit) => use(deps, { handleId: input.params.id }, input, audit),
  });

type Asked = {
  principal: { tenant: string };
  workload: string | null;
  body: { audience: string; scopes?: string[] | undefined };
  request: { certificateThumbprint: string | null };
  attempt: number;
};
type UseAudit = RouteAudit<'grant.used', typeof answers>;
type Released = Awaited<ReturnType<UseAudit['released']>>;

async function use(
  deps: UseGrant,
  which: { grantId: string } | { handleId: string },
  { principal, workload, body, request, attempt }: Asked,
  audit: UseAudit,
): Promise<Released> {
  const thumbprint = request.certificateThumbprint;
  if (workload === null || thumbprint === null) throw problem('grant_not_found');
  const at: HandleAt = { ...which, tenant: principal.tenant, workload };
  const found = await deps.usableGrants.find(at, { fresh: attempt > 0 });
  const { refreshed } = await deps.confirm({ ...found.grant, unasked: found.unasked });
  // Confirming takes time only where it had to refresh: then both are read again.
  const usable = refreshed || found.unasked ? await deps.usableGrants.find(at, { fresh: true }) : found;
  const scopes = grantScopes({ handle: usable.handle.scopes, consent: usable.grant.scopes, asked: body.scopes });
  if (scopes.length === 0) throw problem('nothing_granted');
  const given =
    body.audience === GRANT_TOKEN_AUDIENCE
      ? await grantToken(deps, usable, scopes, thumbprint)
      : await providerToken(deps, usable, scopes, body.audience);
  const { id, generation } = usable.grant;
  const details = {
    scopes: given.scopes,
    audience: body.audience,
    ...given.recorded,
    refreshed: refreshed || given.refreshed,
  };
  const what = { resource: { type: 'grant', id, version: Number(generation) }, details };
  const answer = { status: 200 as const, body: given.body };
  if (!usable.handle.limited) return audit.released({ ...what, guard: guardOf(usable) }, answer);
  return deps.db.transaction().execute(async (tx) => {
    await countLimitedUse(deps, tx, usable);
    return audit.within(tx, what, answer);
  });
}

const secondsLeft = ({ now }: UseGrant, until: Date) =>
  Math.max(1, Math.floor((until.getTime() - now().getTime()) / 1000));

async function grantToken(deps: UseGrant, usable: UsableGrant, scopes: string[], thumbprint: string) {
  const { token, tokenId, expiresAt } = await deps.mintedTokens.grantToken(usable, scopes, thumbprint);
  return {
    scopes,
    refreshed: false,
    recorded: { tokenId, expiresAt: expiresAt.toISOString() },
    body: {
      access_token: token,
      issued_token_type: JWT_TYPE,
      token_type: 'N_A' as const,
      expires_in: secondsLeft(deps, expiresAt),
      scope: scopes.join(' '),
    },
  };
}

/** The provider's own token, in the low profile (R10: elsewhere it is token-exchange that asks, with the job's proof). */
async function providerToken(deps: UseGrant, usable: UsableGrant, scopes: string[], audience: string) {
  const allowed = deps.unboundAllowed && usable.handle.audiences.includes(audience);
  if (!allowed) throw problem('provider_token_refused');
  const { token, scopes: had, expiresAt, refreshed } = await deps.providerTokens.of(usable, scopes, audience);
  return {
    scopes: [...had],
    refreshed,
    recorded: { expiresAt: expiresAt.toISOString() },
    body: {
      access_token: token.reveal(),
      issued_token_type: ACCESS_TOKEN_TYPE,
      token_type: 'Bearer' as const,
      expires_in: secondsLeft(deps, expiresAt),
      scope: had.join(' '),
    },
  };
}
