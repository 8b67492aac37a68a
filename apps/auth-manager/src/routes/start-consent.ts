import { route } from '@postern/http';
import { Problem } from '@postern/runtime';
import { z } from 'zod';
import { findOpenConsent, openConsent, type OpenConsent } from '../consents/open-consent.ts';
import { consentPage } from './consent-page.ts';

/** The first hop of a consent in the person's browser (R18): a cookie, and on to the provider. */
export const startConsentRoute = (deps: OpenConsent) =>
  route({
    method: 'GET',
    path: '/v1/consents/:id/start',
    listener: 'public',
    summary: 'Open a consent link in a browser',
    access: 'anyone',
    audit: 'consent.started',
    params: z.strictObject({ id: z.uuid() }),
    answers: { 303: 'redirect', 404: 'html' },
    problems: ['provider_unavailable', 'provider_refused'],
    async handle({ params: { id } }, audit) {
      const resource = { type: 'consent', id };
      try {
        const consent = await findOpenConsent(deps, id);
        const { to, cookie } = await openConsent(deps, consent);
        return await audit.redirect(
          {
            reason: 'opened_in_browser',
            tenant: consent.tenant,
            resource,
            details: { provider: consent.provider, scopes: consent.scopes },
          },
          { to, cookies: [cookie] },
        );
      } catch (error) {
        if (!(error instanceof Problem) || error.code !== 'consent_not_found') throw error;
        const details = { provider: deps.provider.issuer, scopes: [] };
        const what = { outcome: 'refused' as const, reason: error.code, resource, details };
        return audit.page(what, { status: 404, html: consentPage('gone') });
      }
    },
  });
