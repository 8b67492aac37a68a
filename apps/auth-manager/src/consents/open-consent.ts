import type { Kysely } from 'kysely';
import { type Now, problem, Secret } from '@postern/runtime';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { sealText, type Vault } from '../grants/vault.ts';
import type { ProviderCalls } from '../provider/provider-calls.ts';
import { setCookie } from './browser-cookie.ts';
import { type ConsentRow, publicState } from './consent.ts';
import { hashOf, newValue } from './single-use-value.ts';

export type OpenConsent = {
  db: Kysely<Schema>;
  vault: Vault;
  provider: ProviderCalls;
  /** Consent scopes that the provider knows by name and shows the person itself. */
  providerScopes: ReadonlySet<string>;
  callbackUrl: string;
  now: Now;
};

/** What is kept, sealed, between the two hops. */
export const flow = z.strictObject({ verifier: z.string(), nonce: z.string() });

/** The consent of a link. @throws Problem `consent_not_found`, also once it is finished or too old. */
export async function findOpenConsent({ db, now }: OpenConsent, id: string): Promise<ConsentRow> {
  const consent = await db.selectFrom('consents').selectAll().where('id', '=', id).executeTakeFirst();
  const state = consent && publicState(consent, now());
  if (!consent || (state !== 'pending' && state !== 'started') || consent.state === 'redeeming') {
    throw problem('consent_not_found');
  }
  return consent;
}

/**
 * The first hop (R18): pushes the authorization request and ties the consent to this browser. Opening the link again
 * replaces the earlier state and cookie, so a link that was fetched ahead of the person does no harm.
 * @returns where to send the browser, with which cookie.
 * @throws Problem `consent_not_found`, `provider_unavailable`, `provider_refused`.
 */
export async function openConsent(deps: OpenConsent, consent: ConsentRow): Promise<{ to: string; cookie: string }> {
  const { db, vault, provider, providerScopes, callbackUrl } = deps;
  const { id, tenant } = consent;
  const state = newValue();
  const browser = newValue();
  const known = consent.scopes.filter((scope) => providerScopes.has(scope));
  const asked = ['openid', 'offline_access', ...known];
  const { url, verifier, nonce } = await provider.pushAuthorization({ scopes: asked, state, redirectUri: callbackUrl });
  const kept = new Secret(JSON.stringify({ verifier: verifier.reveal(), nonce } satisfies z.input<typeof flow>));
  const { numUpdatedRows } = await db
    .updateTable('consents')
    .set({
      state: 'started',
      state_hash: hashOf(state),
      browser_hash: hashOf(browser),
      sealed_flow: await sealText(vault, { tenant, what: 'flow', id }, kept),
    })
    .where('id', '=', id)
    .where('state', 'in', ['pending', 'started'])
    .executeTakeFirst();
  if (numUpdatedRows !== 1n) throw problem('consent_not_found');
  return { to: url, cookie: setCookie(id, browser) };
}
