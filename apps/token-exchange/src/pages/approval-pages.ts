import { route, type Page } from '@postern/http';
import type { PolicyDocument } from '@postern/policy';
import { problem, Problem } from '@postern/runtime';
import { formFields, formHeaders, html, page, type Html, type Web, type WebSession } from '@postern/web';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import { decideApproval, whyNotApprover, whyNotReader } from '../approvals/decide-approval.ts';
import type { Schema } from '../db/schema.ts';
import type { PolicyStore } from '../policy/policy-store.ts';
import { decisionForm, described, listed, signedInAs, targetsIn } from './approval-view.ts';

export type ApprovalPages = { db: Kysely<Schema>; policies: PolicyStore; web: Web; now: () => Date };

/** What waits for an approval, for the people who decide (R17, R19): the same operations as the api routes have. */
export const approvalPages = (deps: ApprovalPages) => [listPage(deps), approvalPage(deps), decisionPage(deps)];

const PAGE = 50;
const id = z.strictObject({ id: z.uuid() });

const listPage = (deps: ApprovalPages) =>
  route({
    method: 'GET',
    path: deps.web.home,
    listener: 'public',
    summary: 'The page of requests that wait for an approval',
    access: 'anyone',
    audit: 'approval.listed',
    query: z.strictObject({ after: z.uuid().optional() }),
    answers: { 200: 'html', 403: 'html' },
    problems: ['revocation_unavailable'],
    async handle({ request, query: { after } }, audit) {
      const { db, web, now } = deps;
      const reader = await readerOf(deps, request);
      if ('turnedAway' in reader) {
        return audit.page({ ...reader.what, details: { count: 0 } }, reader.turnedAway(web.home));
      }
      const { session, policy, about } = reader;
      const rows = await db
        .selectFrom('approvals')
        .selectAll()
        .where('tenant', '=', session.principal.tenant)
        .where('state', '=', 'pending')
        .where('expires_at', '>', now())
        .where('policy_version', '=', policy.version)
        // Ids are in the order of time.
        .$if(after !== undefined, (query) => query.where('id', '>', after ?? ''))
        .orderBy('id')
        .limit(PAGE + 1)
        .execute();
      const shown = rows.slice(0, PAGE);
      const last = shown.at(-1);
      const main = html`<p class="quiet">
          ${shown.length === 0 ? 'Nothing waits for a decision.' : 'The oldest first. Open one to decide about it.'}
        </p>
        <ul class="plain">
          ${shown.map((row) => listed(web.home, policy, row))}
        </ul>
        ${rows.length > PAGE && last && html`<p><a href="${web.home}?after=${last.id}">Later ones</a></p>`}`;
      const who = signedInAs(web.home, session);
      const answer = page({ title: 'Requests for approval', home: web.home, who, main });
      return audit.page({ ...about, details: { count: shown.length } }, answer);
    },
  });

const approvalPage = (deps: ApprovalPages) =>
  route({
    method: 'GET',
    path: `${deps.web.home}/:id`,
    listener: 'public',
    summary: 'The page of one request',
    access: 'anyone',
    audit: 'approval.read',
    params: id,
    answers: { 200: 'html', 403: 'html', 404: 'html' },
    problems: ['revocation_unavailable'],
    async handle({ request, params }, audit) {
      const { web } = deps;
      const resource = { type: 'approval', id: params.id };
      const reader = await readerOf(deps, request);
      if ('turnedAway' in reader) {
        return audit.page({ ...reader.what, resource, details: {} }, reader.turnedAway(`${web.home}/${params.id}`));
      }
      const found = await viewOf(deps, reader, params.id);
      if (!found) {
        const what = { ...reader.about, resource, outcome: 'refused' as const, reason: 'approval_not_found' };
        return audit.page({ ...what, details: {} }, saying(deps, reader.session, 404, 'There is no such request.'));
      }
      return audit.page({ ...reader.about, resource, details: {} }, found);
    },
  });

const decisionPage = (deps: ApprovalPages) =>
  route({
    method: 'POST',
    path: `${deps.web.home}/:id/decision`,
    listener: 'public',
    summary: 'Approve, narrow or deny, by the form of the page',
    access: 'anyone',
    audit: 'approval.decided',
    consumes: 'form',
    params: id,
    headers: formHeaders,
    body: z.strictObject({
      ...formFields,
      decision: z.enum(['approved', 'denied']),
      // A form sends one value as it is, several as a list.
      scope: z
        .union([z.string().max(128), z.array(z.string().max(128)).max(64)])
        .optional()
        .describe('those that are ticked'),
      reason: z.string().max(1_024).optional().describe('why, for who asked; recorded'),
    }),
    answers: { 303: 'redirect', 400: 'html', 403: 'html', 404: 'html', 409: 'html' },
    problems: ['cross_site', 'revocation_unavailable'],
    async handle({ request, params, headers, body: { csrf, decision, scope, reason } }, audit) {
      const { db, policies, web, now } = deps;
      const session = await web.session(request.cookies);
      if (!session) throw problem('cross_site');
      web.assertOwnForm(session, { origin: headers.origin, csrf });
      const what = { ...aboutOf(session), resource: { type: 'approval', id: params.id } };
      // A denial is of the whole request, whatever is ticked.
      const scopes = decision === 'denied' ? undefined : [scope ?? []].flat();
      const verdict = { decision, scopes, reason: reason || undefined };
      const { document } = await policies.refresh();
      try {
        return await db.transaction().execute(async (tx) => {
          const decided = await decideApproval(tx, document, session.principal, params.id, verdict, now());
          const details = { decision, ...(decided.scopes && { scopes: [...decided.scopes] }) };
          return audit.redirectWithin(tx, { ...what, details }, { to: `${web.home}/${params.id}` });
        });
      } catch (error) {
        const refusal = error instanceof Problem ? refusals[error.code] : undefined;
        if (!(error instanceof Problem) || refusal === undefined) throw error;
        const { status, text } = refusal;
        const refused = { ...what, outcome: 'refused' as const, reason: error.code, details: { decision } };
        return audit.page(refused, saying(deps, session, status, error.detail ?? text));
      }
    },
  });

const refusals: Record<string, { status: number; text: string }> = {
  approval_not_found: { status: 404, text: 'There is no such request.' },
  approval_ended: {
    status: 409,
    text: 'This request no longer waits: it was decided, has expired, or the policy has changed.',
  },
  approver_refused: { status: 403, text: 'You may not decide about this request.' },
  scopes_not_asked: { status: 400, text: 'Tick at least one of what is asked, or deny.' },
};

type Reader = { session: WebSession; policy: PolicyDocument; about: ReturnType<typeof aboutOf> };
type TurnedAway = { what: object & { outcome: 'refused'; reason: string }; turnedAway: (onward: string) => Page };

const aboutOf = ({ principal: { tenant, person, clientId } }: WebSession) => ({
  tenant,
  actor: { client: clientId, ...(person && { person }) },
});

/** Who reads, or the page for somebody who may not. */
async function readerOf(
  { web, policies }: ApprovalPages,
  request: { cookies: ReadonlyMap<string, string> },
): Promise<Reader | TurnedAway> {
  const session = await web.session(request.cookies);
  if (!session) {
    return {
      what: { outcome: 'refused', reason: 'not_signed_in' },
      turnedAway: (onward) =>
        page({
          title: 'Requests for approval',
          home: web.home,
          main: html`<p>Workloads ask here for what a person has to allow. Sign in to see what waits for you.</p>
            <p><a class="button" href="${web.home}/sign-in?for=${onward}">Sign in</a></p>`,
        }),
    };
  }
  const { document: policy } = await policies.current();
  const why = whyNotReader(policy, session.principal);
  if (why === null) return { session, policy, about: aboutOf(session) };
  return {
    what: { ...aboutOf(session), outcome: 'refused', reason: 'approver_refused' },
    turnedAway: () =>
      page({
        title: 'You may not decide here',
        home: web.home,
        status: 403,
        who: signedInAs(web.home, session),
        main: html`<p>${why}.</p>`,
      }),
  };
}

async function viewOf(
  { db, web, now }: ApprovalPages,
  { session, policy }: Reader,
  wanted: string,
): Promise<Page | null> {
  const row = await db
    .selectFrom('approvals')
    .selectAll()
    .where('id', '=', wanted)
    .where('tenant', '=', session.principal.tenant)
    .executeTakeFirst();
  if (!row) return null;
  const decisions = await db
    .selectFrom('approval_decisions')
    .selectAll()
    .where('approval_id', '=', wanted)
    .orderBy('decided_at')
    .execute();
  const open = row.state === 'pending' && row.expires_at > now() && row.policy_version === policy.version;
  const { person } = session.principal;
  const mine = decisions.some((one) => one.person_sub === person?.sub && one.person_issuer === person.issuer);
  const why = mine ? 'You have decided about this already' : whyNotApprover(policy, session.principal, row);
  const main = html`<p><a href="${web.home}">All requests</a></p>
    ${described(row, decisions)}
    ${open && (why === null ? decisionForm(web.home, policy, session, row) : notice(web.home, policy, session, row.id, why))}
    ${row.state === 'pending' && !open && html`<p class="note">This request no longer waits: it has expired, or the policy has changed.</p>`}`;
  const title = `${row.workload} asks for ${targetsIn(row)}`;
  return page({ title, home: web.home, who: signedInAs(web.home, session), main });
}

/** Why there is no form, and the way to a stronger login where that is what is missing (RFC 9470). */
function notice(
  home: string,
  { approvals }: PolicyDocument,
  { principal }: WebSession,
  wanted: string,
  why: string,
): Html {
  const acr = approvals?.acr;
  const weak = acr !== undefined && principal.claims['acr'] !== acr;
  return html`<div class="note">
    <p>${why}.</p>
    ${weak && html`<p><a class="button" href="${home}/sign-in?acr=${encodeURIComponent(acr)}&for=${home}/${wanted}">Sign in more strongly</a></p>`}
  </div>`;
}

const saying = ({ web }: ApprovalPages, session: WebSession, status: number, text: string): Page =>
  page({
    title: 'Not decided',
    home: web.home,
    status,
    who: signedInAs(web.home, session),
    main: html`<p>${text}</p>
      <p><a class="button" href="${web.home}">All requests</a></p>`,
  });
