import { type Kysely } from 'kysely';
import { z } from 'zod';
import { route } from '@postern/http';
import { listActivity } from '../activity/list-activity.ts';
import { type Schema } from '../db/schema.ts';

const MOST_LINES = 200;

/** Seed route: what was done in the administrator's own tenant, newest first. */
export const auditLogs = ({ db }: { db: Kysely<Schema> }) =>
  route({
    method: 'GET',
    path: '/audit-logs',
    listener: ['api', 'public'],
    scope: 'secrets:audit',
    role: 'admin',
    tier: 'standard',
    audit: 'audit.read',
    summary: 'What was done in the tenant, newest first',
    query: z.strictObject({
      before: z
        .string()
        .regex(/^[0-9]{1,18}$/)
        .optional(),
      limit: z.coerce.number().int().min(1).max(MOST_LINES).default(100),
    }),
    answers: {
      200: z.strictObject({
        audit_logs: z.array(
          z.strictObject({
            customer: z.string(),
            action: z.string(),
            secret_name: z.string().nullable(),
            status: z.enum(['success', 'refused', 'failed']),
            timestamp: z.iso.datetime(),
          }),
        ),
        next: z.string().nullable().describe('give it as `before` for the next page; null at the end'),
      }),
    },
    async handle({ principal, query }, audit) {
      const lines = await listActivity(db, { tenant: principal.tenant, ...query });
      const audit_logs = lines.map(({ customer, action, secretName, status, at }) => ({
        customer,
        action,
        secret_name: secretName,
        status,
        timestamp: at.toISOString(),
      }));
      const next = lines.length === query.limit ? (lines.at(-1)?.id ?? null) : null;
      return audit.released({ details: { count: lines.length } }, { status: 200, body: { audit_logs, next } });
    },
  });
