import type { Kysely } from 'kysely';
import { type Now, problem, Secret } from '@postern/runtime';
import type { Schema } from '../db/schema.ts';
import { openText, type Vault } from '../grants/vault.ts';
import type { KeepRegistered } from '../provider/keep-registered.ts';
import { cookieIn } from './browser-cookie.ts';
import type { ConsentRow } from './consent.ts';
import { flow } from './open-consent.ts';
import { hashOf, isHashOf } from './single-use-value.ts';

export type ClaimConsent = { db: Kysely<Schema>; vault: Vault; keepRegistered: KeepRegistered; now: Now };

/** The consent of a callback, and what was kept of its first hop. Only one callback ever gets it. */
export type ClaimedConsent = { consent: ConsentRow; verifier: Secret; nonce: string; state: string };

/**
 * The consent that an answer with this state is for, seen from this browser: the state must be one we gave out, still good,
 * and this browser the one that opened the link (R18). Looks only; a state that is right in the wrong browser is refused
 * without being used up, so that somebody who saw it cannot spoil the flow.
 * @throws Problem `consent_not_found`, one answer for unknown, foreign, replayed and expired.
 */
export async function findStarted(
  { db, now }: ClaimConsent,
  state: string,
  cookies: ReadonlyMap<string, string>,
): Promise<ConsentRow> {
  const held = await db
    .selectFrom('consents')
    .selectAll()
    .where('state_hash', '=', hashOf(state))
    .where('state', '=', 'started')
    .where('expires_at', '>', now())
    .executeTakeFirst();
  const browser = held && cookieIn(cookies, held.id);
  if (!held || browser === undefined || !isHashOf(held.browser_hash, browser)) throw problem('consent_not_found');
  return held;
}

/**
 * Takes a found consent for this callback; only one callback ever gets it. From then on its provider is not removed.
 * @throws Problem `consent_not_found` for the others; `keys_unavailable`, with the consent as it was; `provider_not_found`.
 */
export async function claimConsent(
  { db, vault, keepRegistered }: ClaimConsent,
  held: ConsentRow,
  state: string,
): Promise<ClaimedConsent> {
  if (!held.sealed_flow) throw problem('consent_not_found');
  const { tenant, id } = held;
  // Before it is taken: keys that cannot be had just now spoil nothing.
  const kept = flow.parse(JSON.parse((await openText(vault, { tenant, what: 'flow', id }, held.sealed_flow)).reveal()));
  const consent = await db.transaction().execute(async (tx) => {
    await keepRegistered(tx, held);
    return tx
      .updateTable('consents')
      .set({ state: 'redeeming', state_hash: null, browser_hash: null, sealed_flow: null })
      .where('id', '=', held.id)
      .where('state', '=', 'started')
      .where('state_hash', '=', hashOf(state))
      .returningAll()
      .executeTakeFirst();
  });
  if (!consent) throw problem('consent_not_found');
  return { consent, verifier: new Secret(kept.verifier), nonce: kept.nonce, state };
}
