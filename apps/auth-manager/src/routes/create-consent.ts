import { quotaOf, route } from '@postern/http';
import type { Kysely } from 'kysely';
import { type Now, problem } from '@postern/runtime';
import { z } from 'zod';
import { assertConsentRequest, createConsent } from '../consents/create-consent.ts';
import type { ReturnPages } from '../consents/return-to.ts';
import type { Schema } from '../db/schema.ts';
import { handleRequest, scope } from '../grants/grant-answer.ts';
import { expectGrantWithin } from '../grants/grant-quota.ts';
import type { Providers } from '../provider/open-providers.ts';
import { ownerOf } from '../grants/owner-of.ts';

export type CreateConsent = {
  db: Kysely<Schema>;
  providers: Pick<Providers, 'find'>;
  publicUrl: string;
  returnPages: ReturnPages;
  /** Those of the operator's table (R4): no other certificate is ever accepted. */
  workloads: ReadonlySet<string>;
  now: Now;
};

const scopes = z.array(scope).min(1).max(64).describe('what the person is asked to consent to');
/** One line of plain text; what it must not be is a place to hide something (controls, bidirectional overrides). */
const purpose = z
  .string()
  .trim()
  .min(1)
  .max(280)
  .regex(/^[^\p{Cc}\p{Cf}\p{Co}\p{Cn}]*$/u)
  .describe('what it is for, as the page shows it: one line of plain text');
const handle = z.strictObject(handleRequest);

/** Starts a consent for a person: the answer's `consent_url` is for the person's browser. */
export const createConsentRoute = ({ db, providers, publicUrl, returnPages, workloads, now }: CreateConsent) =>
  route({
    method: 'POST',
    path: '/v1/consents',
    listener: 'api',
    summary: 'Start a consent for a person’s offline grant',
    description:
      'The person opens the link, sees who asks for what, and consents at the provider. What comes of it is at `/v1/consents/{id}`.',
    scope: 'grants:write',
    audit: 'consent.started',
    idempotency: 'accepted',
    body: z.strictObject({
      scopes,
      handle,
      purpose: purpose.optional(),
      return_to: z.string().max(1024).optional().describe("where the browser goes on: one of the client's own list"),
    }),
    answers: {
      201: z.strictObject({
        id: z.uuid(),
        consent_url: z.url().describe('what the person opens in a browser'),
        expires_at: z.iso.datetime(),
      }),
    },
    problems: [
      'person_required',
      'other_provider',
      'handle_workload_unknown',
      'handle_exceeds_consent',
      'return_not_listed',
      'quota_exceeded',
    ],
    async handle({ principal, body, idempotency }, audit) {
      const starter = { owner: ownerOf(principal), client: principal.clientId };
      const asked = { scopes: body.scopes, handle: body.handle, returnTo: body.return_to, purpose: body.purpose };
      // R18: only where the person is known can the person be recognised.
      const at = await providers.find(starter.owner);
      if (at === null) throw problem('other_provider');
      const { provider } = at;
      assertConsentRequest({ returnPages, workloads }, starter, asked);
      const mostGrants = quotaOf(principal, 'auth-manager').grants;
      if (mostGrants !== undefined) await expectGrantWithin(db, starter.owner.tenant, mostGrants);
      return db.transaction().execute(async (tx) => {
        const made = { provider, idempotency, mostGrants, now: now() };
        const { id, expiresAt } = await createConsent(tx, starter, asked, made);
        const consentUrl = `${publicUrl}/v1/consents/${id}/start`;
        return audit.within(
          tx,
          {
            resource: { type: 'consent', id },
            details: { provider, scopes: body.scopes, client: body.handle.workload },
          },
          { status: 201, body: { id, consent_url: consentUrl, expires_at: expiresAt.toISOString() } },
        );
      });
    },
  });
