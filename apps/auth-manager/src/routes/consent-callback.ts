import { type Released, route, type RouteAudit } from '@postern/http';
import type { Transaction } from 'kysely';
import { problem, Problem } from '@postern/runtime';
import { z } from 'zod';
import { type Callback, readCallback } from '../consents/callback.ts';
import { clearCookie } from '../consents/browser-cookie.ts';
import { stateIn } from '../consents/signed-response.ts';
import { claimConsent, findStarted, type ClaimedConsent, type ClaimConsent } from '../consents/claim-consent.ts';
import type { ConsentRow, FailureReason } from '../consents/consent.ts';
import { type OpenConsent, scopesKnownAt } from '../consents/open-consent.ts';
import { completeConsent, failConsent } from '../consents/finish-consent.ts';
import { discardTokens, redeemConsent, type RedeemConsent } from '../consents/redeem-consent.ts';
import { returnUrl } from '../consents/return-to.ts';
import type { Schema } from '../db/schema.ts';
import { recoveryOf } from '../grants/recovery.ts';
import { storeGrant, type StoreGrant } from '../grants/store-grant.ts';
import type { RecordEffect } from '../record-effect.ts';
import { type ConsentOutcome, outcomePage } from '../pages/outcome-page.ts';
import { PAGE_POLICY } from '../pages/page.ts';
import type { ProviderOf } from '../provider/provider-calls.ts';
import { commitIntentOf } from './consent-intent.ts';

export type ConsentCallback = ClaimConsent &
  Pick<RedeemConsent, 'logger'> &
  Pick<OpenConsent, 'providers'> &
  StoreGrant &
  RecordEffect & { callbackUrl: string; providerOf: ProviderOf };

// RFC 6749 4.1.2: what a client does not know of a response it ignores.
const query = z.union([
  z.object({
    state: z
      .string()
      .regex(/^[\w-]{43}$/)
      .describe('as the consent was begun with'),
    code: z.string().min(1).max(4096).optional().describe('the authorization code'),
    iss: z.string().max(512).optional().describe('who answers (RFC 9207)'),
    error: z.string().max(128).optional().describe('why there is no code'),
  }),
  // The whole answer as one signed token (JARM 2.3.1).
  z.object({ response: z.string().min(1).max(8192).describe('the same, signed (JARM)') }),
]);
type Said = z.output<typeof query>;

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
      try {
        const state = 'response' in said ? stateIn(said.response) : said.state;
        if (!state) throw problem('consent_not_found');
        const found = await findStarted(deps, state, request.cookies);
        const callback = await answerOf(deps, found, said);
        return await conclude(deps, audit, await claimConsent(deps, found, state), callback);
      } catch (error) {
        if (!(error instanceof Problem) || !isGone(error)) throw error;
        const what = { outcome: 'refused' as const, reason: error.code, details: { provider: '', scopes: [] } };
        return audit.page(what, { status: 404, html: outcomePage('gone'), contentSecurityPolicy: PAGE_POLICY });
      }
    },
  });

/** The consent, or the provider that it is at: either way the link leads nowhere. */
const isGone = ({ code }: Problem): boolean => code === 'consent_not_found' || code === 'provider_not_found';

/**
 * What the provider says, believed as far as the consent demands: signed where a signature was asked for (JARM). Judged
 * before the consent is claimed, so that a provider whose keys cannot be had just now spoils nothing.
 * @throws Problem `provider_unavailable`.
 */
async function answerOf(
  { providerOf }: Pick<ConsentCallback, 'providerOf'>,
  consent: ConsentRow,
  said: Said,
): Promise<Callback> {
  const provider = providerOf(consent);
  const unsigned = { kind: 'refused', reason: 'unsigned_response' } as const;
  if (consent.signed_response !== 'response' in said) return unsigned;
  try {
    const answer = 'response' in said ? await provider.readResponse(said.response) : said;
    return readCallback(answer, { issuer: provider.issuer, sendsIssuer: await provider.sendsIssuer() });
  } catch (error) {
    if (error instanceof Problem && error.code === 'provider_refused') return unsigned;
    throw error;
  }
}

function conclude(
  deps: ConsentCallback,
  audit: CallbackAudit,
  claimed: ClaimedConsent,
  callback: Callback,
): Promise<Released> {
  switch (callback.kind) {
    case 'code':
      return redeem(deps, audit, claimed, callback.code);
    case 'denied':
      return end(deps, audit, claimed.consent, { state: 'denied' });
    case 'provider_error':
      return end(deps, audit, claimed.consent, { state: 'failed', reason: 'provider_error' });
    case 'refused':
      return end(deps, audit, claimed.consent, { state: 'failed', reason: callback.reason });
  }
}

async function redeem(
  deps: ConsentCallback,
  audit: CallbackAudit,
  claimed: ClaimedConsent,
  code: string,
): Promise<Released> {
  const { consent, state } = claimed;
  const provider = deps.providerOf(consent);
  const callback = new URL(deps.callbackUrl);
  // What is left of the answer once it was judged: a signed one reads like any other.
  callback.search = new URLSearchParams({ code, state, iss: provider.issuer }).toString();
  const client = await provider.clientId();
  const providerScopes = await scopesKnownAt(deps, consent);
  await commitIntentOf(deps, consent);
  const redemption = await redeemConsent({ ...deps, provider, providerScopes }, claimed, { callback, state });
  if ('refused' in redemption) return end(deps, audit, consent, { state: 'failed', reason: redemption.refused });
  const { accepted, login } = redemption;
  try {
    return await deps.db.transaction().execute(async (tx) => {
      const stored = await storeGrant(deps, tx, {
        owner: ownerOfConsent(consent),
        provider: consent.provider,
        client,
        session: accepted.session,
        kind: 'offline',
        scopes: accepted.scopes,
        acr: login.acr ?? null,
        authTime: login.authTime ?? null,
        token: accepted.token,
        idleSeconds: accepted.idleSeconds,
        mostGrants: consent.most_grants,
        handle: {
          workload: consent.handle_workload,
          audiences: consent.handle_audiences,
          scopes: consent.handle_scopes,
        },
        now: deps.now(),
      });
      const { id } = stored;
      if (stored.recovered) {
        const { tenant, actor } = aboutOf(consent);
        await audit.itemWithin<Schema, 'grant.recovered'>(tx, {
          ...recoveryOf(stored, consent.provider),
          tenant,
          actor,
        });
      }
      if (!(await completeConsent(tx, consent.id, id, deps.now()))) throw problem('consent_not_found');
      const details = { provider: consent.provider, scopes: accepted.scopes, grant: id, offline: true };
      const what = { ...aboutOf(consent), details };
      return answerWithin(audit, tx, what, consent, 'completed', 'completed');
    });
  } catch (error) {
    // Nothing was stored, so nothing may live on at the provider either.
    await discardTokens({ ...deps, provider }, { refreshToken: accepted.token });
    const reason = error instanceof Problem ? whyNotStored(error.code) : null;
    if (reason === null) throw error;
    return end(deps, audit, consent, { state: 'failed', reason });
  }
}

/** As what a consent ends whose grant could not be stored, where that is nobody's fault here. */
function whyNotStored(code: string): FailureReason | null {
  if (code === 'quota_exceeded') return code;
  // Somebody has removed the provider meanwhile.
  return code === 'provider_not_found' ? 'provider_error' : null;
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

const statuses = { completed: 200, denied: 403, failed: 502, other_person: 403 } as const satisfies Partial<
  Record<ConsentOutcome, number>
>;

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
  page: keyof typeof statuses,
): Promise<Released> {
  const cookies = [clearCookie(id)];
  if (returnTo === null || page === 'other_person') {
    return audit.pageWithin(tx, what, {
      status: statuses[page],
      html: outcomePage(page),
      cookies,
      contentSecurityPolicy: PAGE_POLICY,
    });
  }
  return audit.redirectWithin(tx, what, { to: returnUrl(returnTo, id, outcome), cookies });
}
