import { type CallService, shaped } from './call-service.ts';
import { type CallAs } from './options.ts';

export type ApprovalState = 'pending' | 'approved' | 'denied' | 'expired' | 'consumed';

/** What somebody has to decide about. */
export type Approval = {
  id: string;
  state: ApprovalState;
  person: { issuer: string; sub: string };
  /** Everyone who would act, the caller first. */
  actors: string[];
  workload: string;
  /** The first that was named; `audiences` has all. */
  audience: string;
  audiences: string[];
  scopes: string[];
  approvedScopes: string[] | null;
  /** The workload's own words: text, never markup. */
  justification: string | null;
  personsNeeded: number;
  policyVersion: string;
  createdAt: string;
  expiresAt: string;
};

export type ApprovalQuery = {
  state?: ApprovalState;
  workload?: string;
  /** The last id of the page before. */
  after?: string;
};

export type Decision = {
  decision: 'approved' | 'denied';
  /** Fewer than were asked for; all of them unless given. */
  scopes?: readonly string[];
  reason?: string;
};

export type Approvals = {
  /** Approvals of the tenant, oldest first; pending ones unless the query says otherwise. Scope `approvals:read`. */
  list(query: ApprovalQuery, as: CallAs): Promise<{ approvals: Approval[]; next: string | null }>;
  /** Scope `approvals:read`. */
  get(id: string, as: CallAs): Promise<Approval>;
  /**
   * Approves, narrows or denies. Scope `approvals:decide`.
   * @throws PosternError `approver_refused`, `approval_ended`, `scopes_not_asked`, ...
   */
  decide(
    id: string,
    decision: Decision,
    as: CallAs,
  ): Promise<{ state: ApprovalState; scopes: string[] | null; missing: number }>;
};

const at = (id: string) => `/v1/approvals/${encodeURIComponent(id)}`;

export const createApprovals = (call: CallService): Approvals => ({
  async list(query, as) {
    const answer = await call({ method: 'GET', path: '/v1/approvals', query, scopes: ['approvals:read'] }, as);
    return shaped<{ approvals: Approval[]; next: string | null }>('token-exchange', answer, 'approvals', 'next');
  },
  async get(id, as) {
    const answer = await call({ method: 'GET', path: at(id), scopes: ['approvals:read'] }, as);
    return shaped<Approval>('token-exchange', answer, 'id', 'state', 'scopes');
  },
  async decide(id, body, as) {
    const answer = await call({ method: 'POST', path: `${at(id)}/decision`, body, scopes: ['approvals:decide'] }, as);
    return shaped<{ state: ApprovalState; scopes: string[] | null; missing: number }>(
      'token-exchange',
      answer,
      'state',
      'missing',
    );
  },
});
