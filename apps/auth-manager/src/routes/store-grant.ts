import { quotaOf, route } from '@postern/http';
import type { Kysely } from 'kysely';
import { type Now, problem, Secret } from '@postern/runtime';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { getGrant } from '../grants/find-grants.ts';
import { attributes, grantAnswer, handleRequest, scope } from '../grants/grant-answer.ts';
import { beginGrantCount } from '../grants/grant-quota.ts';
import { judgeToken } from '../grants/judge-token.ts';
import { ownerOf } from '../grants/owner-of.ts';
import { recoveryOf } from '../grants/recovery.ts';
import { storeGrant, type StoreGrant } from '../grants/store-grant.ts';
import type { Providers } from '../provider/open-providers.ts';
import type { ProviderOf } from '../provider/provider-calls.ts';

export type StoreGrantRoute = StoreGrant & {
  db: Kysely<Schema>;
  providers: Pick<Providers, 'find'>;
  providerOf: ProviderOf;
  workloads: ReadonlySet<string>;
  now: Now;
};

/**
 * Stores a refresh token that the person's application has (the seed's route): one of this service's own client at the
 * provider, living, and the person's own (R18). The same session's token replaces the one before.
 */
export const storeGrantRoute = (deps: StoreGrantRoute) =>
  route({
    method: 'POST',
    path: '/v1/grants',
    listener: 'api',
    summary: 'Store a refresh token of the person, with a first handle',
    scope: 'grants:write',
    audit: 'grant.stored',
    body: z.strictObject({
      refresh_token: z
        .string()
        .min(1)
        .max(16_384)
        .transform((text) => new Secret(text))
        .describe('introspected at the provider before it is kept: active, of our client, of this person'),
      scopes: z.array(scope).min(1).max(64).describe('what the person consented to'),
      handle: z.strictObject(handleRequest).optional(),
      attributes: attributes.optional(),
    }),
    answers: { 201: grantAnswer },
    problems: [
      'person_required',
      'other_provider',
      'handle_workload_unknown',
      'handle_exceeds_consent',
      'refresh_token_refused',
      'quota_exceeded',
      'provider_not_found',
      'certificate_bound_token',
      'provider_refused',
      'provider_unavailable',
      'keys_unavailable',
    ],
    async handle({ principal, body: { refresh_token: token, scopes, handle, attributes: noted } }, audit) {
      const { db, now } = deps;
      const owner = ownerOf(principal);
      // R18: only where the person is known can the person be recognised.
      const at = await deps.providers.find(owner);
      if (at === null) throw problem('other_provider');
      const { provider } = at;
      if (handle && !deps.workloads.has(handle.workload)) throw problem('handle_workload_unknown');
      if (handle?.scopes.some((one) => !scopes.includes(one)) === true) throw problem('handle_exceeds_consent');
      const calls = deps.providerOf(at);
      const client = await calls.clientId();
      const judged = judgeToken(token, await calls.introspect(token), { owner, client, now: now() });
      const mostGrants = quotaOf(principal, 'auth-manager').grants;
      if (mostGrants !== undefined) await beginGrantCount(db, owner.tenant);
      return db.transaction().execute(async (tx) => {
        const grant = { owner, provider, client, ...judged, scopes, token, handle, mostGrants };
        const stored = await storeGrant(deps, tx, { ...grant, attributes: noted, now: now() });
        const what = { provider, scopes, offline: judged.kind === 'offline' };
        if (stored.recovered) await audit.itemWithin<Schema, 'grant.recovered'>(tx, recoveryOf(stored, provider));
        const body = await getGrant({ db: tx }, owner, stored.id);
        const resource = { type: 'grant', id: stored.id, version: stored.generation };
        return audit.within(tx, { resource, details: what }, { status: 201, body });
      });
    },
  });
