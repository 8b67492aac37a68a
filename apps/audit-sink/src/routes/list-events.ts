import { actionNames, outcomes } from '@postern/audit';
import { route } from '@postern/http';
import { z } from 'zod';
import { listEvents } from '../log/read-events.ts';
import { AUDITOR, type ReadLog } from './deps.ts';

const event = z.looseObject({ id: z.string(), time: z.string(), action: z.string(), outcome: z.enum(outcomes) });

/** The tenant's events, oldest first. Reading them is an event too. */
export const listEventsRoute = ({ query }: ReadLog) =>
  route({
    method: 'GET',
    path: '/v1/events',
    listener: 'api',
    summary: "The tenant's events, page by page",
    ...AUDITOR,
    audit: 'audit.read',
    query: z.strictObject({
      after: z.string().min(1).max(64).optional(),
      action: z.enum(actionNames as [string, ...string[]]).optional(),
      limit: z.coerce.number().int().min(1).max(200).default(50),
    }),
    answers: { 200: z.strictObject({ events: z.array(event), next: z.string().optional() }) },
    problems: ['invalid_input'],
    async handle({ principal, query: asked }, audit) {
      const page = await listEvents(query, { tenant: principal.tenant, ...asked });
      const [from, to] = [page.events.at(0)?.id, page.events.at(-1)?.id];
      return audit.released(
        { details: { count: page.events.length, ...(from && to ? { from, to } : {}) } },
        { status: 200, body: page },
      );
    },
  });
