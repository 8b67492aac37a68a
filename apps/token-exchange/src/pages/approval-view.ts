import type { PolicyDocument } from '@postern/policy';
import { html, type Html, type WebSession } from '@postern/web';
import type { Schema } from '../db/schema.ts';

export type ApprovalRow = Schema['approvals'];
type DecisionRow = Schema['approval_decisions'];

/** The hidden field of every form of a session. */
export const csrfField = ({ csrf }: WebSession): Html => html`<input type="hidden" name="csrf" value="${csrf}" />`;

export const signedInAs = (home: string, session: WebSession): Html =>
  html`<div class="who">
    <span>Signed in as ${personIn(session.principal.person?.sub ?? '', session.name)}</span>
    <form method="post" action="${home}/sign-out">
      ${csrfField(session)}<button class="second small">Sign out</button>
    </form>
  </div>`;

/** One request of the list: a link with what matters. */
export const listed = (home: string, policy: PolicyDocument, row: ApprovalRow): Html =>
  html`<li>
    <a class="item card" href="${home}/${row.id}">
      <h2>${row.workload} asks for ${targetsIn(row)}</h2>
      <p class="row">${row.scopes.map((name) => html`<code>${name}</code> ${riskOf(policy, name)}`)}</p>
      <p>For ${personIn(row.person_sub, row.person_name)}, by ${chainOf(row)}</p>
      ${row.justification !== null && html`<blockquote>${row.justification}</blockquote>`}
      <p class="quiet">Asked ${time(row.created_at)}, waits until ${time(row.expires_at)}</p>
    </a>
  </li>`;

/** Everything that a person needs to decide. */
export const described = (row: ApprovalRow, decisions: readonly DecisionRow[]): Html =>
  html`<section class="card" aria-labelledby="asked">
    <h2 id="asked">What is asked</h2>
    <dl>
      <dt>State</dt>
      <dd><span class="tag">${states[row.state]}</span></dd>
      <dt>Workload</dt>
      <dd><span class="name">${row.workload}</span></dd>
      <dt>Wants to call</dt>
      <dd><span class="name">${targetsIn(row)}</span></dd>
      <dt>In the name of</dt>
      <dd>
        ${row.person_name !== null && html`<span class="name">${row.person_name}</span><br />`}
        <span class="quiet">${row.person_sub} of ${row.person_issuer}</span>
      </dd>
      <dt>Who would act</dt>
      <dd>${chainOf(row)}</dd>
      <dt>Why</dt>
      <dd>
        ${
          row.justification === null
            ? html`<span class="quiet">No reason was given</span>`
            : html`<blockquote>${row.justification}</blockquote>
                <span class="quiet">In the workload’s own words; nobody has checked them</span>`
        }
      </dd>
      <dt>Asked</dt>
      <dd>${time(row.created_at)}</dd>
      <dt>Waits until</dt>
      <dd>${time(row.expires_at)}</dd>
      <dt>Approvers needed</dt>
      <dd>${row.persons_needed === 1 ? 'One' : 'Two different people'}</dd>
      ${
        row.approved_scopes !== null &&
        html`<dt>Approved</dt>
          <dd class="row">${row.approved_scopes.map((name) => html`<code>${name}</code>`)}</dd>`
      }
      ${
        decisions.length > 0 &&
        html`<dt>Decided so far</dt>
          <dd>
            <ul class="plain">
              ${decisions.map(verdictOf)}
            </ul>
          </dd>`
      }
    </dl>
  </section>`;

/** The form: each scope may be unticked, so an approval is as narrow as its giver wants. */
export const decisionForm = (home: string, policy: PolicyDocument, session: WebSession, row: ApprovalRow): Html =>
  html`<form class="card" method="post" action="${home}/${row.id}/decision">
    <h2>Your decision</h2>
    ${csrfField(session)}
    <fieldset>
      <legend>Allow</legend>
      ${row.scopes.map((name) => choice(policy, name))}
    </fieldset>
    <label class="field" for="reason">Reason <span class="quiet">(kept with the decision)</span></label>
    <textarea id="reason" name="reason" maxlength="1024"></textarea>
    <div class="actions">
      <button name="decision" value="approved">Approve what is ticked</button>
      <button name="decision" value="denied" class="refuse">Deny</button>
    </div>
  </form>`;

function choice(policy: PolicyDocument, name: string): Html {
  const description = policy.scopes.find((scope) => scope.name === name)?.description;
  return html`<label class="choice">
    <input type="checkbox" name="scope" value="${name}" checked />
    <span>
      <span class="row"><code>${name}</code> ${riskOf(policy, name)}</span>
      ${description !== undefined && html`<span class="quiet">${description}</span>`}
    </span>
  </label>`;
}

const states: Record<ApprovalRow['state'], string> = {
  pending: 'Waiting',
  approved: 'Approved',
  denied: 'Denied',
  expired: 'Expired',
  consumed: 'Approved and used',
};

function riskOf({ scopes }: PolicyDocument, name: string): Html | null {
  const risk = scopes.find((scope) => scope.name === name)?.risk;
  return risk === undefined ? null : html`<span class="tag ${risk}">${risk} risk</span>`;
}

/** A name where there is one, else as much of the `sub` as tells people apart; the whole of it in the title. */
const personIn = (sub: string, name: string | null): Html =>
  html`<span class="name" title="${sub}">${name ?? (sub.length > 12 ? `${sub.slice(0, 8)}…` : sub)}</span>`;

export const targetsIn = ({ audience, more_audiences: more }: ApprovalRow): string => [audience, ...more].join(' and ');

const chainOf = ({ actors }: ApprovalRow): Html =>
  html`${actors.map((actor, at) => html`${at > 0 && ', on behalf of '}<span class="name">${actor}</span>`)}`;

const verdictOf = ({ person_sub, decision, scopes, reason, decided_at }: DecisionRow): Html =>
  html`<li>
    ${personIn(person_sub, null)} ${decision}
    ${decision === 'approved' && scopes.map((name) => html`<code>${name}</code> `)} ${time(decided_at)}
    ${reason !== null && html`<blockquote>${reason}</blockquote>`}
  </li>`;

const time = (at: Date): Html =>
  html`<time datetime="${at.toISOString()}">${at.toISOString().slice(0, 16).replace('T', ' ')} UTC</time>`;
