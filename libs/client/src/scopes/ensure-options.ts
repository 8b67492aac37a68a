import type { Audiences } from '../audiences.ts';
import type { OnApprovalPending } from './await-approval.ts';

/** How a scope is asked for. */
export type EnsureOptions = {
  /** Whom the token is for, or all of several who take the same one; the configured one unless given. */
  audience?: Audiences;
  /** What an approver is told, where one is needed. */
  justification?: string;
  /** With it, `ensureScope` waits for an approval, telling each poll; without it, it rejects with `approval_pending`. */
  onApprovalPending?: OnApprovalPending;
  /** Ends this caller's wait; an exchange that others wait for goes on. */
  signal?: AbortSignal;
  /** Longest wait for one answer, in milliseconds. */
  timeoutMs?: number;
};
