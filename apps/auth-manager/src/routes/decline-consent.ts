import { route } from '@postern/http';
import type { Kysely } from 'kysely';
import { type Now, problem, Problem } from '@postern/runtime';
import { z } from 'zod';
import { clearCookie, shownTo } from '../consents/browser-cookie.ts';
import { declineConsent } from '../consents/finish-consent.ts';
import { returnUrl } from '../consents/return-to.ts';
import type { Schema } from '../db/schema.ts';
import { outcomePage } from '../pages/outcome-page.ts';
import { PAGE_POLICY } from '../pages/page.ts';
import { pageTokenText } from './continue-consent.ts';
import { goneOrExpired } from './gone-page.ts';

/** The person's no on our own page: nothing is asked of the provider. */
export const declineConsentRoute = (deps: { db: Kysely<Schema>; now: Now }) =>
  route({
    method: 'POST',
    path: '/v1/consents/:id/decline',
    listener: 'public',
    summary: 'Decline a consent on its page',
    access: 'anyone',
    audit: 'consent.cancelled',
    consumes: 'form',
    params: z.strictObject({ id: z.uuid() }),
    body: z.strictObject({ token: pageTokenText }),
    answers: { 200: 'html', 404: 'html' },
    async handle({ params: { id }, body: { token }, request }, audit) {
      try {
        if (shownTo(request.cookies, id, token) === undefined) throw problem('consent_not_found');
        return await deps.db.transaction().execute(async (tx) => {
          const consent = await declineConsent(tx, id, deps.now());
          const { return_to: to, started_by: client } = consent;
          const back = to === null ? undefined : { to: returnUrl(to, id, 'denied'), client };
          return audit.pageWithin(
            tx,
            { tenant: consent.tenant, resource: { type: 'consent', id }, details: { cause: 'person' } },
            {
              status: 200,
              html: outcomePage('denied', back),
              cookies: [clearCookie(id)],
              contentSecurityPolicy: PAGE_POLICY,
            },
          );
        });
      } catch (error) {
        if (!(error instanceof Problem) || error.code !== 'consent_not_found') throw error;
        const { reason, page } = await goneOrExpired(deps, id);
        return audit.page({ outcome: 'refused', reason, resource: { type: 'consent', id }, details: {} }, page);
      }
    },
  });
