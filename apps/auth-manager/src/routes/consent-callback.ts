import { type Released, route, type RouteAudit } from '@postern/http';
import type { Transaction } from 'kysely';
import { problem, Problem } from '@postern/runtime';
import { z } from 'zod';
import { type Callback, readCallback } from '../consents/callback.ts';
import { clearCookie } from '../consents/browser-cookie.ts';
import { claimConsent, type ClaimedConsent, type ClaimConsent } from '../consents/claim-consent.ts';
import type { ConsentRow, FailureReason } from '../consents/consent.ts';
import { completeConsent, failConsent } from '../consents/finish-consent.ts';
import { discardTokens, redeemConsent, type RedeemConsent } from '../consents/redeem-consent.ts';
import { returnUrl } from '../consents/return-to.ts';
import type { Schema } from '../db/schema.ts';
import { storeGrant, type StoreGrant } from '../grants/store-grant.ts';
import type { RecordEffect } from '../record-effect.ts';
import { type ConsentOutcome, consentPage } from './consent-page.ts';
import { commitIntentOf } from './consent-intent.ts';

export type ConsentCallback = ClaimConsent & RedeemConsent & StoreGrant & RecordEffect & { callbackUrl: string };

// RFC 6749 4.1.2: what a client does not know of a response it ignores.
const query = z.object({
  state: z.string().regex(/^[\w-]{43}$/),
  code: z.string().min(1).max(4096).optional(),
  iss: z.string().max(512).optional(),
  error: z.string().max(128).optional(),
});

const answers = { 200: 'html', 303: 'redirect', 403: 'html', 404: 'html', 502: 'html' } as const;
type CallbackAudit = RouteAudit<'consent.completed', typeof answers>;

/** The second hop: what the provider sent the browser back with. */
export const consentCallbackRoute = (deps: ConsentCallback) =>
  route({
    method: 'GET',
    path: '/v1/consents/callback',
    listener: 'public',
    summary: 'Where the identity provider returns the browser',
    access: 'anyone',
    audit: 'consent.completed',
    query,
    answers,
    problems: ['provider_unavailable', 'keys_unavailable'],
    async handle({ query: said, request }, audit) {
      const { provider } = deps;
      const sendsIssuer = await provider.sendsIssuer();
      let claimed: ClaimedConsent;
      try {
        claimed = await claimConsent(deps, said.state, request.cookies);
      } catch (error) {
        if (!(error instanceof Problem) || error.code !== 'consent_not_found') throw error;
        const details = { provider: provider.issuer, scopes: [] };
        const what = { outcome: 'refused' as const, reason: error.code, details };
        return audit.page(what, { status: 404, html: consentPage('gone') });
      }
      const callback = readCallback(said, { issuer: provider.issuer, sendsIssuer });
      switch (callback.kind) {
        case 'code':
          return redeem(deps, audit, claimed, callback);
        case 'denied':
          return end(deps, audit, claimed.consent, { state: 'denied' });
        case 'provider_error':
          return end(deps, audit, claimed.consent, { state: 'failed', reason: 'provider_error' });
        case 'refused':
          return end(deps, audit, claimed.consent, { state: 'failed', reason: callback.reason });
      }
    },
  });

async function redeem(
  deps: ConsentCallback,
  audit: CallbackAudit,
  claimed: ClaimedConsent,
  { code, state }: Extract<Callback, { kind: 'code' }>,
): Promise<Released> {
  const { consent } = claimed;
  const callback = new URL(deps.callbackUrl);
  callback.search = new URLSearchParams({ code, state, iss: deps.provider.issuer }).toString();
  await commitIntentOf(deps, consent);
  const redemption = await redeemConsent(deps, claimed, { callback, state });
  if ('refused' in redemption) return end(deps, audit, consent, { state: 'failed', reason: redemption.refused });
  const { accepted, login } = redemption;
  try {
    return await deps.db.transaction().execute(async (tx) => {
      const { id } = await storeGrant(deps, tx, {
        owner: ownerOfConsent(consent),
        provider: consent.provider,
        client: deps.provider.clientId,
        session: accepted.session,
        kind: 'offline',
        scopes: accepted.scopes,
        acr: login.acr ?? null,
        authTime: login.authTime ?? null,
        token: accepted.token,
        handle: {
          workload: consent.handle_workload,
          audiences: consent.handle_audiences,
          scopes: consent.handle_scopes,
        },
        now: deps.now(),
      });
      if (!(await completeConsent(tx, consent.id, id, deps.now()))) throw problem('consent_not_found');
      const details = { provider: consent.provider, scopes: accepted.scopes, grant: id, offline: true };
      const what = { ...aboutOf(consent), details };
      return answerWithin(audit, tx, what, consent, 'completed', 'completed');
    });
  } catch (error) {
    // Nothing was stored, so nothing may live on at the provider either.
    await discardTokens(deps, { refreshToken: accepted.token });
    throw error;
  }
}

type End = { state: 'denied' } | { state: 'failed'; reason: FailureReason };

function end(deps: ConsentCallback, audit: CallbackAudit, consent: ConsentRow, how: End): Promise<Released> {
  return deps.db.transaction().execute(async (tx) => {
    await failConsent(tx, consent.id, how, deps.now());
    const what = {
      ...aboutOf(consent),
      outcome: 'refused' as const,
      reason: how.state === 'failed' ? how.reason : 'access_denied',
      details: { provider: consent.provider, scopes: consent.scopes },
    };
    const otherPerson = how.state === 'failed' && how.reason === 'other_person';
    return answerWithin(audit, tx, what, consent, how.state, otherPerson ? 'other_person' : how.state);
  });
}

const ownerOfConsent = ({ tenant, person_issuer, person_sub }: ConsentRow) => ({
  tenant,
  issuer: person_issuer,
  sub: person_sub,
});

const aboutOf = (consent: ConsentRow) => ({
  tenant: consent.tenant,
  actor: {
    person: { issuer: consent.person_issuer, sub: consent.person_sub },
    client: consent.started_by,
  },
  resource: { type: 'consent', id: consent.id },
});

const statuses = { completed: 200, denied: 403, failed: 502, other_person: 403, gone: 404 } as const;

/**
 * The browser's answer. A stranger's browser is not sent on to the client's page: that page belongs to the person who
 * started the consent.
 */
function answerWithin(
  audit: CallbackAudit,
  tx: Transaction<Schema>,
  what: Parameters<CallbackAudit['redirectWithin']>[1],
  { id, return_to: returnTo }: ConsentRow,
  outcome: 'completed' | 'denied' | 'failed',
  page: ConsentOutcome,
): Promise<Released> {
  const cookies = [clearCookie(id)];
  if (returnTo === null || page === 'other_person') {
    return audit.pageWithin(tx, what, { status: statuses[page], html: consentPage(page), cookies });
  }
  return audit.redirectWithin(tx, what, { to: returnUrl(returnTo, id, outcome), cookies });
}
