import { outcomes } from '@postern/audit';
import { route } from '@postern/http';
import { type Kysely } from 'kysely';
import { z } from 'zod';
import { logLines } from '../audit-log/log-lines.ts';
import { LOG_PROBLEMS, type TenantLog } from '../audit-log/tenant-log.ts';
import { type Schema } from '../db/schema.ts';

const MOST_LINES = 200;

export type AuditLogs = {
  db: Kysely<Schema>;
  tenantLog: TenantLog;
  /** The issuer of this service's own accounts. */
  issuerUrl: string;
};

/** Who may see what happened in their tenant. */
const ADMINISTRATOR = {
  listener: ['api', 'public'],
  scope: 'secrets:audit',
  role: 'admin',
  tier: 'standard',
} as const;

/**
 * Seed route: the events of the administrator's own tenant in the log, newest first. An event comes there a moment after its
 * effect; one begun and not ended has the status `intent`, and its outcome is a line of its own.
 */
export const auditLogs = (deps: AuditLogs) =>
  route({
    method: 'GET',
    path: '/audit-logs',
    ...ADMINISTRATOR,
    audit: 'audit.read',
    summary: 'What was done in the tenant, newest first',
    query: z.strictObject({
      before: z
        .string()
        .regex(/^[A-Za-z0-9_-]{1,64}$/)
        .optional()
        .describe('`next` of the page before'),
      limit: z.coerce.number().int().min(1).max(MOST_LINES).default(100).describe('lines a page'),
    }),
    answers: {
      200: z.strictObject({
        audit_logs: z.array(
          z.strictObject({
            id: z.uuid(),
            customer: z.string().nullable().describe('null where nobody is known, of a failed login'),
            action: z.string().describe('as events have it: `secret.read`'),
            secret_name: z.string().nullable().describe('null where it is about no secret'),
            status: z.enum(outcomes),
            timestamp: z.iso.datetime(),
            receipt: z.string().describe('path of the proof that the event is in the log'),
          }),
        ),
        next: z.string().nullable().describe('give it as `before` for the next page; null at the end'),
      }),
    },
    problems: LOG_PROBLEMS,
    async handle({ principal, query }, audit) {
      const { tenant, token } = principal;
      const { events, next } = await deps.tenantLog.page(query, token);
      const lines = await logLines(deps, { tenant, events });
      const audit_logs = lines.map(({ id, customer, action, secretName, status, at }) => ({
        id,
        customer,
        action,
        secret_name: secretName,
        status,
        timestamp: at,
        receipt: `/audit-logs/${id}/receipt`,
      }));
      const [from, to] = [events.at(0)?.id, events.at(-1)?.id];
      const details = { count: lines.length, ...(from && to ? { from, to } : {}) };
      return audit.released({ details }, { status: 200, body: { audit_logs, next } });
    },
  });

/** The second line of a checkpoint is the tree's size (C2SP tlog-checkpoint). */
const treeSizeOf = (checkpoint: string): number => Number(checkpoint.split('\n')[1]);

/** The proof of one of these lines, as audit-sink gives it: whoever kept the log's key verifies it offline. */
export const auditLogReceipt = ({ tenantLog }: AuditLogs) =>
  route({
    method: 'GET',
    path: '/audit-logs/:id/receipt',
    ...ADMINISTRATOR,
    audit: 'receipt.read',
    summary: 'An event of the tenant with its proof of inclusion and a signed checkpoint',
    params: z.strictObject({ id: z.uuid() }),
    answers: {
      200: z.looseObject({
        event: z.looseObject({ id: z.uuid() }),
        salt: z.string().describe('base64url'),
        index: z.int().min(0).describe('place of its leaf in the log'),
        leaf: z.string().describe('base64'),
        proof: z.array(z.string()).describe('base64, RFC 9162 section 2.1.3'),
        checkpoint: z.string().describe('a signed note, C2SP tlog-checkpoint'),
        key: z.string().describe('what the log says its key is; trust the one that you kept'),
      }),
    },
    problems: [...LOG_PROBLEMS, 'event_not_found'],
    async handle({ principal, params: { id } }, audit) {
      const body = await tenantLog.receipt(id, principal.token);
      const details = { index: body.index, treeSize: treeSizeOf(body.checkpoint) };
      return audit.released({ resource: { type: 'event', id }, details }, { status: 200, body: { ...body } });
    },
  });
