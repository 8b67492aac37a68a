import type { Kysely } from 'kysely';
import { type Now, problem, Secret } from '@postern/runtime';
import { z } from 'zod';
import type { Schema } from '../db/schema.ts';
import { sealText, type Vault } from '../grants/vault.ts';
import type { Providers } from '../provider/open-providers.ts';
import type { ProviderOf } from '../provider/provider-calls.ts';
import { type ConsentRow, publicState } from './consent.ts';
import { hashOf, newValue } from './single-use-value.ts';

export type OpenConsent = {
  db: Kysely<Schema>;
  vault: Vault;
  providerOf: ProviderOf;
  /** Finds the scopes of consents that the provider knows by name and shows the person itself. */
  providers: Pick<Providers, 'find'>;
  callbackUrl: string;
  /** Whether the provider must sign its answer to the browser (JARM): the profile's. */
  signedResponses: boolean;
  now: Now;
};

/** What is kept, sealed, between the two hops. */
export const flow = z.strictObject({ verifier: z.string(), nonce: z.string() });

/** Scopes of consents that its provider knows by name; none where it is registered no longer. */
export async function scopesKnownAt(
  { providers }: Pick<OpenConsent, 'providers'>,
  { tenant, provider }: Pick<ConsentRow, 'tenant' | 'provider'>,
): Promise<ReadonlySet<string>> {
  return new Set((await providers.find({ tenant, issuer: provider }))?.scopes);
}

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
 * The hop to the provider (R18): pushes the authorization request and ties the consent to this browser, by its cookie.
 * Going on again replaces the earlier state, so that a person may come back to the page.
 * @returns where to send the browser.
 * @throws Problem `consent_not_found`, `provider_unavailable`, `provider_refused`.
 */
export async function openConsent(deps: OpenConsent, consent: ConsentRow, browser: string): Promise<string> {
  const { db, vault, providerOf, callbackUrl, signedResponses } = deps;
  const { id, tenant } = consent;
  const state = newValue();
  const providerScopes = await scopesKnownAt(deps, consent);
  const known = consent.scopes.filter((scope) => providerScopes.has(scope));
  const asked = ['openid', 'offline_access', ...known];
  const request = { scopes: asked, state, redirectUri: callbackUrl, signedResponse: signedResponses };
  const { url, verifier, nonce } = await providerOf(consent).pushAuthorization(request);
  const kept = new Secret(JSON.stringify({ verifier: verifier.reveal(), nonce } satisfies z.input<typeof flow>));
  const { numUpdatedRows } = await db
    .updateTable('consents')
    .set({
      state: 'started',
      state_hash: hashOf(state),
      browser_hash: hashOf(browser),
      signed_response: signedResponses,
      sealed_flow: await sealText(vault, { tenant, what: 'flow', id }, kept),
    })
    .where('id', '=', id)
    .where('state', 'in', ['pending', 'started'])
    .executeTakeFirst();
  if (numUpdatedRows !== 1n) throw problem('consent_not_found');
  return url;
}
