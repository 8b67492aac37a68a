import { route, type Route } from '@postern/http';
import type { Kysely } from 'kysely';
import { problem } from '@postern/runtime';
import { z } from 'zod';
import { mayReturnTo, type ReturnPages } from '../consents/return-to.ts';
import type { GrantKind, Schema } from '../db/schema.ts';
import type { Owner } from '../grants/grant.ts';
import { scope } from '../grants/grant-answer.ts';
import { ownerOf } from '../grants/owner-of.ts';
import type { RevokeTokens } from '../grants/revoke-tokens.ts';
import { discardEnded, type DiscardEnded } from '../sessions/discard-ended.ts';
import { endSessionLink } from '../sessions/end-session-link.ts';
import { endSessions } from '../sessions/end-sessions.ts';
import {
  findSession,
  listSessions,
  type PersonSession,
  type SessionKey,
  sessionsToEnd,
} from '../sessions/find-sessions.ts';

export type SessionRoutes = DiscardEnded &
  RevokeTokens & {
    db: Kysely<Schema>;
    returnPages: ReturnPages;
    /** Whether an offline grant outlives the session it was made in, where the person does not say. */
    offlineOutlives: boolean;
  };

const instant = z.iso.datetime();
const sessionId = z
  .string()
  .regex(/^[0-9a-f]{32}$/)
  .describe('of the session, as this service names it: 32 hex digits');
const session = z.strictObject({
  id: sessionId,
  provider: z.string().describe('the issuer at which it is'),
  began_at: instant,
  last_used_at: instant.nullable(),
  grants: z.array(
    z.strictObject({
      id: z.uuid(),
      kind: z.enum(['offline', 'refresh']),
      state: z.enum(['active', 'reauthorization_required']),
      scopes: z.array(scope).describe('what the person consented to'),
      created_at: instant,
      last_used_at: instant.nullable(),
    }),
  ),
});
const ended = z.strictObject({
  sessions: z.int().describe('how many were ended'),
  grants: z.int().describe('how many grants ended with them'),
});
const offline = z.enum(['keep', 'end']).optional();

/** The person's sessions at providers: what was granted in each, and their ending. */
export const sessionRoutes = (deps: SessionRoutes): Route[] => [list(deps), link(deps), endOne(deps), endAll(deps)];

const list = (deps: SessionRoutes) =>
  route({
    method: 'GET',
    path: '/v1/sessions',
    listener: 'api',
    summary: 'The person’s sessions, with the grants made in each and their last use',
    scope: 'grants:read',
    audit: 'session.listed',
    answers: { 200: z.strictObject({ sessions: z.array(session) }) },
    problems: ['person_required'],
    async handle({ principal }, audit) {
      const sessions = (await listSessions(deps, ownerOf(principal))).map(viewOf);
      return audit.released({ details: { count: sessions.length } }, { status: 200, body: { sessions } });
    },
  });

const link = (deps: SessionRoutes) =>
  route({
    method: 'GET',
    path: '/v1/sessions/:id/end-session-link',
    listener: 'api',
    summary: 'Where the person’s browser ends the session at the provider (RP-initiated logout)',
    scope: 'grants:read',
    audit: 'session.listed',
    params: z.strictObject({ id: sessionId }),
    query: z.strictObject({
      return_to: z.string().max(1024).optional().describe("where the browser goes on: one of the client's own list"),
    }),
    answers: { 200: z.strictObject({ url: z.url().nullable().describe('null: the provider offers none') }) },
    problems: ['person_required', 'session_not_found', 'return_not_listed', 'provider_unavailable'],
    async handle({ principal, params: { id }, query: { return_to: returnTo } }, audit) {
      const owner = ownerOf(principal);
      const { key } = await findSession(deps, owner, id);
      if (returnTo !== undefined && !mayReturnTo(deps.returnPages, principal.clientId, returnTo)) {
        throw problem('return_not_listed');
      }
      const provider = deps.providerOf({ tenant: owner.tenant, provider: key.issuer });
      const endpoint = await provider.endSessionUrl();
      const url = endpoint && endSessionLink(endpoint, { clientId: await provider.clientId(), returnTo });
      return audit.released(
        { resource: { type: 'session', id }, details: { count: 1 } },
        { status: 200, body: { url } },
      );
    },
  });

const endOne = (deps: SessionRoutes) =>
  route({
    method: 'DELETE',
    path: '/v1/sessions/:id',
    listener: 'api',
    summary: 'End one session of the person: its grants, and what was minted from it',
    scope: 'grants:write',
    audit: 'session.ended',
    params: z.strictObject({ id: sessionId }),
    query: z.strictObject({ offline }),
    answers: { 200: ended },
    problems: ['person_required', 'session_not_found'],
    async handle({ principal, params: { id }, query }, audit) {
      const owner = ownerOf(principal);
      const one = await findSession(deps, owner, id);
      const resource = { type: 'session', id };
      const details = { cause: 'owner', provider: one.key.issuer };
      return audit.effect({ resource, details }, async () => {
        const grants = await end(deps, owner, [one.key], query.offline);
        return {
          what: { resource, details: { ...details, grants } },
          answer: { status: 200, body: { sessions: 1, grants } },
        };
      });
    },
  });

const endAll = (deps: SessionRoutes) =>
  route({
    method: 'DELETE',
    path: '/v1/sessions',
    listener: 'api',
    summary: 'End all sessions of the person',
    scope: 'grants:write',
    audit: 'session.ended',
    query: z.strictObject({ offline }),
    answers: { 200: ended },
    problems: ['person_required'],
    async handle({ principal, query }, audit) {
      const owner = ownerOf(principal);
      return audit.effect({ details: { cause: 'owner' } }, async () => {
        const sessions = await sessionsToEnd(deps, owner);
        const grants = await end(deps, owner, sessions, query.offline);
        return {
          what: { details: { cause: 'owner', grants } },
          answer: { status: 200, body: { sessions: sessions.length, grants } },
        };
      });
    },
  });

/** Ends them in one transaction, then tells the providers; one that does not answer is told by a worker's next round. */
async function end(
  deps: SessionRoutes,
  owner: Owner,
  sessions: readonly SessionKey[],
  said: z.output<typeof offline>,
): Promise<number> {
  const keepsOffline = said === undefined ? deps.offlineOutlives : said === 'keep';
  const kinds: readonly GrantKind[] = keepsOffline ? ['refresh'] : ['refresh', 'offline'];
  const byIssuer = Map.groupBy(sessions, ({ issuer }) => issuer);
  const ids = await deps.db.transaction().execute(async (tx) => {
    const all: string[] = [];
    for (const [issuer, those] of byIssuer) {
      const sessionIds = those.map(({ session: id }) => id);
      const which = { issuer, sub: owner.sub, sessionIds, tenants: [owner.tenant] };
      all.push(...(await endSessions(tx, deps, which, { kinds, living: kinds })));
    }
    return all;
  });
  await discardEnded(deps, ids);
  return ids.length;
}

const viewOf = ({ id, key, grants, beganAt, lastUsedAt }: PersonSession): z.output<typeof session> => ({
  id,
  provider: key.issuer,
  began_at: beganAt.toISOString(),
  last_used_at: lastUsedAt?.toISOString() ?? null,
  grants: grants.map(({ id: grant, kind, state, scopes, created_at, lastUsedAt: used }) => ({
    id: grant,
    kind,
    state: state === 'active' ? 'active' : 'reauthorization_required',
    scopes,
    created_at: created_at.toISOString(),
    last_used_at: used?.toISOString() ?? null,
  })),
});
