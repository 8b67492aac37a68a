import { outcomes } from '@postern/audit';
import { PosternError, type EventReceipt, type Postern } from '@postern/client';
import { problem, type Problem, type Secret } from '@postern/runtime';
import { z } from 'zod';
import { refusedToken } from '../refused-token.ts';

/** What is shown of an event; more may come with it. */
const loggedEvent = z.looseObject({
  id: z.uuid(),
  time: z.iso.datetime(),
  action: z.string(),
  outcome: z.enum(outcomes),
  actor: z.looseObject({
    person: z.looseObject({ issuer: z.string(), sub: z.string() }).optional(),
    workload: z.string().optional(),
  }),
  resource: z.looseObject({ type: z.string(), id: z.string() }).optional(),
  details: z.looseObject({}),
});
export type LoggedEvent = z.infer<typeof loggedEvent>;

export type TenantLog = {
  /** The tenant's events, newest first; `before` is the `next` of the page before. */
  page(
    asked: { before?: string | undefined; limit: number },
    administrator: Secret,
  ): Promise<{ events: LoggedEvent[]; next: string | null }>;
  /** An event of the tenant with its proof. @throws Problem `event_not_found` */
  receipt(id: string, administrator: Secret): Promise<EventReceipt>;
};

/** What a route may answer that asks the log. */
export const LOG_PROBLEMS = ['audit_log_unreachable', 'audit_log_forbidden', 'audit_log_failed'] as const;

/**
 * The log of the administrator's own tenant at audit-sink. It trusts this service for no tenant (R5): each call carries a
 * token exchanged from the administrator's own, of the one scope that opens their tenant's events and nothing else.
 */
export function openTenantLog(audit: Postern['audit']): TenantLog {
  return {
    async page({ before, limit }, administrator) {
      const query = { order: 'newest', limit, ...(before === undefined ? {} : { after: before }) } as const;
      const { events, next } = await translated(audit.tenantEvents(query, { subjectToken: administrator.reveal() }));
      const read = z.array(loggedEvent).safeParse(events);
      if (!read.success) throw problem('audit_log_failed', { cause: read.error });
      return { events: read.data, next: next ?? null };
    },
    receipt: (id, administrator) => translated(audit.tenantReceipt(id, { subjectToken: administrator.reveal() })),
  };
}

async function translated<T>(answer: Promise<T>): Promise<T> {
  try {
    return await answer;
  } catch (error) {
    throw error instanceof PosternError ? problemOf(error) : error;
  }
}

const RETRY_AFTER_SECONDS = 2;

/** The refusals of token-exchange by policy: RFC 6749 section 5.2, RFC 8693 section 2.2.2. */
const byPolicy = ['invalid_target', 'invalid_scope', 'invalid_grant', 'access_denied', 'unauthorized_client'];

/** What the administrator learns of a refusal; the log of this service keeps the error itself. */
function problemOf(cause: PosternError): Problem {
  const { status, code, service, fields } = cause;
  const retryAfterSeconds = cause.retryAfterSeconds ?? RETRY_AFTER_SECONDS;
  if (code === 'event_not_found') return problem('event_not_found', { cause });
  // Only the cursor goes there as it came.
  if (service === 'audit-sink' && code === 'invalid_input' && JSON.stringify(fields ?? []).includes('query.after')) {
    return problem('invalid_input', { fields: [{ field: 'query.before', rule: 'a `next` of an earlier answer' }] });
  }
  const ended = refusedToken(cause);
  if (ended) return ended;
  const noAnswer = status === undefined ? code !== 'unexpected_answer' && code !== 'answer_too_large' : status >= 500;
  if (noAnswer || status === 429) return problem('audit_log_unreachable', { cause, retryAfterSeconds });
  if (status === 403 || byPolicy.includes(code)) return problem('audit_log_forbidden', { cause });
  return problem('audit_log_failed', { cause });
}
