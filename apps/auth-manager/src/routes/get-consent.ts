import { route } from '@postern/http';
import type { Principal } from '@postern/oidc';
import type { Kysely } from 'kysely';
import { type Now, problem } from '@postern/runtime';
import { z } from 'zod';
import {
  type ConsentRow,
  consentView,
  failureReasons,
  isFinal,
  publicState,
  publicStates,
} from '../consents/consent.ts';
import { stepOf, type WatchConsents } from '../consents/watch-consents.ts';
import type { Schema } from '../db/schema.ts';
import { ownedBy } from '../grants/grant.ts';
import { handleRequest, scope } from '../grants/grant-answer.ts';
import { ownerOf } from '../grants/owner-of.ts';

export type GetConsent = { db: Kysely<Schema>; watch: WatchConsents; now: Now };

const answer = z.strictObject({
  id: z.uuid(),
  state: z.enum(publicStates),
  reason: z.enum([...failureReasons, 'access_denied']).nullable(),
  grant: z.uuid().nullable(),
  purpose: z.string().nullable().describe('what it is for, as the page shows it'),
  scopes: z.array(scope).describe('what is asked for'),
  handle: z.strictObject(handleRequest),
  expires_at: z.iso.datetime(),
});
const params = z.strictObject({ id: z.uuid() });
const MOST_WAIT_SECONDS = 30;

/** @throws Problem `consent_not_found`, also for another person's or client's. */
async function findConsent({ db }: GetConsent, principal: Principal, id: string): Promise<ConsentRow> {
  const consent = await db
    .selectFrom('consents')
    .selectAll()
    .where((row) => row.and({ id, started_by: principal.clientId, ...ownedBy(ownerOf(principal)) }))
    .executeTakeFirst();
  if (!consent) throw problem('consent_not_found');
  return consent;
}

/**
 * What became of a consent: for the person it was started for, and the client that started it. `wait` holds the answer
 * back, up to so many seconds, until the consent moves on from where it is; one that is over is answered at once.
 */
export const getConsentRoute = (deps: GetConsent) =>
  route({
    method: 'GET',
    path: '/v1/consents/:id',
    listener: 'api',
    summary: 'Status of a consent; `wait` waits for it to change',
    scope: 'grants:write',
    audit: 'consent.read',
    params,
    query: z.strictObject({
      wait: z
        .string()
        .regex(/^\d{1,2}$/)
        .transform(Number)
        .pipe(z.int().max(MOST_WAIT_SECONDS))
        .optional()
        .describe(`seconds to wait for it to move on, at most ${MOST_WAIT_SECONDS}`),
    }),
    answers: { 200: answer },
    problems: ['person_required', 'consent_not_found'],
    async handle({ principal, params: { id }, query: { wait = 0 } }, audit) {
      const { watch, now } = deps;
      let consent = await findConsent(deps, principal, id);
      const state = publicState(consent, now());
      if (wait > 0 && !isFinal(state)) consent = (await watch.past(id, stepOf(state), wait * 1_000)) ?? consent;
      const body = answer.parse(consentView(consent, now()));
      return audit.released({ resource: { type: 'consent', id }, details: {} }, { status: 200, body });
    },
  });

/** A stream ends after this; whoever reads it comes back with `Last-Event-ID`. */
const STREAM_MS = 300_000;
const COMMENT_EVERY_MS = 10_000;

/**
 * The same as server-sent events (WHATWG HTML, section 9.2): one for each step (1 `pending`, 2 `started`, 3 how it ended),
 * each with the status as its data. Goes on after Last-Event-ID, and ends with the consent.
 */
export const consentEventsRoute = (deps: GetConsent) =>
  route({
    method: 'GET',
    path: '/v1/consents/:id/events',
    listener: 'api',
    summary: 'The steps of a consent, as server-sent events; goes on after Last-Event-ID',
    description:
      'Steps are 1 `pending`, 2 `started`, 3 how it ended, each with the status as its data (WHATWG HTML, section 9.2). The stream ends with the consent.',
    scope: 'grants:write',
    audit: 'consent.read',
    params,
    headers: z.strictObject({
      'last-event-id': z
        .string()
        .regex(/^[0-3]$/)
        .optional()
        .describe('number of the last step seen'),
    }),
    answers: { 200: 'stream' },
    produces: 'text/event-stream',
    problems: ['person_required', 'consent_not_found'],
    async handle({ principal, params: { id }, headers }, audit) {
      const consent = await findConsent(deps, principal, id);
      const source = consentEvents(deps, consent, Number(headers['last-event-id'] ?? 0));
      const what = { resource: { type: 'consent', id }, details: {} };
      return audit.stream(what, { source, contentType: 'text/event-stream' });
    },
  });

async function* consentEvents({ watch, now }: GetConsent, first: ConsentRow, after: number): AsyncGenerator<string> {
  let consent: ConsentRow | null = first;
  let told = after;
  for (const end = performance.now() + STREAM_MS; performance.now() < end;) {
    if (consent === null) yield ': \n\n';
    else {
      const view = consentView(consent, now());
      const step = stepOf(view.state);
      if (step > told) yield `id: ${step}\nevent: ${view.state}\ndata: ${JSON.stringify(answer.parse(view))}\n\n`;
      told = Math.max(told, step);
      if (isFinal(view.state)) return;
    }
    consent = await watch.past(first.id, told, COMMENT_EVERY_MS);
    // The other end comes back to another replica, with its Last-Event-ID.
    if (consent === null && watch.ended()) return;
  }
}
