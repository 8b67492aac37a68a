import { createHash, randomInt } from 'node:crypto';
import type { Kysely } from 'kysely';
import { type Now, Problem, type Secret } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import { singleFlight } from '../refresh/single-flight.ts';
import { exchangeAtProvider, type ExchangeAtProvider } from './exchange-at-provider.ts';
import type { UsableGrant } from './find-handle.ts';
import { openText, sealText, type Vault } from './vault.ts';

/** An unbound access token of the provider's own (the low profile only), with the scopes it has. */
export type ProviderToken = { token: Secret; scopes: readonly string[]; expiresAt: Date };

export type ProviderTokens = {
  /** Such a token for one audience, a kept one while it lives. @throws as {@link exchangeAtProvider}, where none is kept */
  of(usable: UsableGrant, scopes: readonly string[], audience: string): Promise<ProviderToken & { refreshed: boolean }>;
};

export type OpenProviderTokens = ExchangeAtProvider & { db: Kysely<Schema>; vault: Vault; now: Now };

/** Of its life a token is renewed in the last fifth, at an instant of its own so that not all are at once. */
const RENEW_FROM_PERCENT = 80;
const JITTER_PERCENT = 10;
/** Nobody gets a token that dies on the way. */
const LEAST_LIFE_MS = 5_000;

const askedOf = (scopes: readonly string[], audience: string): Buffer =>
  createHash('sha256')
    .update([audience, ...scopes].join(' '))
    .digest();

/**
 * Tokens kept sealed in Postgres, one for each audience and set of scopes, of the grant's newest consent only (`family`), so that all
 * replicas share them and a revocation is seen by the very statement that reads them (R32). Where the provider gives no
 * new one, an older one serves until it expires.
 */
export function openProviderTokens(deps: OpenProviderTokens): ProviderTokens {
  const { db, vault, now } = deps;
  const share = singleFlight<ProviderToken & { refreshed: boolean }>();

  async function kept({ grant }: UsableGrant, asked: Buffer) {
    const row = await db
      .selectFrom('provider_tokens as t')
      .innerJoin('grants as g', 'g.id', 't.grant_id')
      .select(['t.scopes', 't.sealed_token', 't.renew_at', 't.expires_at'])
      .where('t.grant_id', '=', grant.id)
      .where('t.asked', '=', asked)
      .whereRef('t.family', '=', 'g.family')
      .where('g.state', '=', 'active')
      .where('t.expires_at', '>', new Date(now().getTime() + LEAST_LIFE_MS))
      .executeTakeFirst();
    if (!row) return undefined;
    const token = await openText(vault, { tenant: grant.tenant, what: 'access', id: grant.id }, row.sealed_token);
    return { token, scopes: row.scopes, expiresAt: row.expires_at, renewAt: row.renew_at };
  }

  async function renew(
    { grant }: UsableGrant,
    { scopes, audience, asked }: { scopes: readonly string[]; audience: string; asked: Buffer },
  ): Promise<ProviderToken> {
    const got = await exchangeAtProvider(deps, grant, { scopes, audiences: [audience], proofs: {} });
    const lifeMs = got.expiresIn * 1000;
    const renewMs = (lifeMs * (RENEW_FROM_PERCENT - randomInt(JITTER_PERCENT))) / 100;
    const row = {
      family: grant.family,
      scopes: [...(got.scopes ?? scopes)],
      sealed_token: await sealText(vault, { tenant: grant.tenant, what: 'access', id: grant.id }, got.token),
      renew_at: new Date(now().getTime() + renewMs),
      expires_at: new Date(now().getTime() + lifeMs),
    };
    await db
      .insertInto('provider_tokens')
      .values({ grant_id: grant.id, asked, ...row })
      .onConflict((conflict) => conflict.columns(['grant_id', 'asked']).doUpdateSet(row))
      .execute();
    return { token: got.token, scopes: row.scopes, expiresAt: row.expires_at };
  }

  return {
    async of(usable, scopes, audience) {
      const asked = askedOf(scopes, audience);
      const held = await kept(usable, asked);
      if (held && now() < held.renewAt) return { ...held, refreshed: false };
      try {
        return await share(`${usable.grant.id} ${asked.toString('hex')}`, async () => {
          // Another replica may have been first while this one waited for its turn.
          const meanwhile = await kept(usable, asked);
          if (meanwhile && now() < meanwhile.renewAt) return { ...meanwhile, refreshed: false };
          return { ...(await renew(usable, { scopes, audience, asked })), refreshed: true };
        });
      } catch (error) {
        const away = error instanceof Problem && (error.code === 'provider_unavailable' || error.code === 'grant_busy');
        if (held && away) return { ...held, refreshed: false };
        throw error;
      }
    },
  };
}
