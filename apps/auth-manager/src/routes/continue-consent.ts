import { route } from '@postern/http';
import { problem, Problem } from '@postern/runtime';
import { z } from 'zod';
import { setCookie, shownTo } from '../consents/browser-cookie.ts';
import { findOpenConsent, openConsent, type OpenConsent } from '../consents/open-consent.ts';
import { goneOrExpired } from './gone-page.ts';

export const pageTokenText = z
  .string()
  .regex(/^[\w-]{43}$/)
  .describe('of the page, as its browser was given it');

/**
 * The second hop: from the page that the person read to the provider (R18). A link and not a form, because browsers hold
 * the redirects after a form to `form-action`, and nobody knows how many of them a provider makes.
 */
export const continueConsentRoute = (deps: OpenConsent) =>
  route({
    method: 'GET',
    path: '/v1/consents/:id/continue',
    listener: 'public',
    summary: 'From the page of a consent to the identity provider',
    access: 'anyone',
    audit: 'consent.started',
    params: z.strictObject({ id: z.uuid() }),
    query: z.strictObject({ token: pageTokenText }),
    answers: { 303: 'redirect', 404: 'html' },
    problems: ['provider_unavailable', 'provider_refused'],
    async handle({ params: { id }, query: { token }, request }, audit) {
      try {
        const browser = shownTo(request.cookies, id, token);
        if (browser === undefined) throw problem('consent_not_found');
        const consent = await findOpenConsent(deps, id);
        const to = await openConsent(deps, consent, browser);
        return await audit.redirect(
          {
            reason: 'opened_in_browser',
            tenant: consent.tenant,
            resource: { type: 'consent', id },
            details: { provider: consent.provider, scopes: consent.scopes },
          },
          { to, cookies: [setCookie(id, browser)] },
        );
      } catch (error) {
        if (!(error instanceof Problem) || error.code !== 'consent_not_found') throw error;
        const { reason, page } = await goneOrExpired(deps, id);
        const resource = { type: 'consent', id };
        return audit.page({ outcome: 'refused', reason, resource, details: { provider: '', scopes: [] } }, page);
      }
    },
  });
