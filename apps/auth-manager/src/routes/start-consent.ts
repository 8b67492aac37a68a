import { route } from '@postern/http';
import { type Now, Problem } from '@postern/runtime';
import { z } from 'zod';
import { cookieIn, pageToken, setCookie } from '../consents/browser-cookie.ts';
import { findOpenConsent, type OpenConsent } from '../consents/open-consent.ts';
import { newValue } from '../consents/single-use-value.ts';
import { askingPage } from '../pages/asking-page.ts';
import { PAGE_POLICY } from '../pages/page.ts';
import { goneOrExpired } from './gone-page.ts';

const minutesUntil = (until: Date, now: Now): number =>
  Math.max(1, Math.floor((until.getTime() - now().getTime()) / 60_000));

/**
 * The first hop of a consent in the person's browser (R18): the page that says what is asked, and the cookie. Nothing
 * changes by it, so a link that is fetched ahead of the person does no harm.
 */
export const startConsentRoute = (deps: OpenConsent) =>
  route({
    method: 'GET',
    path: '/v1/consents/:id/start',
    listener: 'public',
    summary: 'Open a consent link in a browser: the page that says what is asked',
    access: 'anyone',
    audit: 'consent.started',
    params: z.strictObject({ id: z.uuid() }),
    answers: { 200: 'html', 404: 'html' },
    async handle({ params: { id }, request }, audit) {
      try {
        const consent = await findOpenConsent(deps, id);
        const cookie = cookieIn(request.cookies, id) ?? newValue();
        const minutesLeft = minutesUntil(consent.expires_at, deps.now);
        const asked = { provider: new URL(consent.provider).hostname, token: pageToken(cookie), minutesLeft };
        return await audit.page(
          {
            reason: 'shown_in_browser',
            tenant: consent.tenant,
            resource: { type: 'consent', id },
            details: { provider: consent.provider, scopes: consent.scopes },
          },
          {
            status: 200,
            html: askingPage(consent, asked),
            cookies: [setCookie(id, cookie)],
            contentSecurityPolicy: PAGE_POLICY,
          },
        );
      } catch (error) {
        if (!(error instanceof Problem) || error.code !== 'consent_not_found') throw error;
        const { reason, page } = await goneOrExpired(deps, id);
        const resource = { type: 'consent', id };
        return audit.page({ outcome: 'refused', reason, resource, details: { provider: '', scopes: [] } }, page);
      }
    },
  });
