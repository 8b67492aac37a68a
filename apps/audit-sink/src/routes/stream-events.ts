import { route } from '@postern/http';
import { problem } from '@postern/runtime';
import { z } from 'zod';
import { newestCheckpoint } from '../log/checkpoints.ts';
import { indexOf } from '../search/cursor.ts';
import { followEvents } from '../search/follow-events.ts';
import { subjectOf } from '../search/subject-of.ts';
import { eventFilter, filterOf, namesPersonWhole, PERSON_RULE } from './list-events.ts';
import { AUDITOR, type ReadLog } from './deps.ts';

/** Streams of one replica at a time: each looks at the database every second. */
const STREAMS = 50;
/** Of one tenant, so that none keeps the others from theirs. */
const STREAMS_OF_TENANT = 10;
const RETRY_AFTER_SECONDS = 5;
const { from: _from, to: _to, ...filter } = eventFilter;

/**
 * New events as they come (server-sent events, HTML section 9.2), from now on, or after the event of `Last-Event-ID`. A stream
 * ends with its token, and when the replica goes; whoever follows comes back with the last id.
 */
export const streamEvents = (log: ReadLog, isDraining: () => Promise<boolean>) => {
  const open = new Map<string, number>();
  const openOf = (tenant: string) => open.get(tenant) ?? 0;
  const count = (tenant: string, more: 1 | -1) => {
    const now = openOf(tenant) + more;
    if (now > 0) open.set(tenant, now);
    else open.delete(tenant);
  };
  return route({
    method: 'GET',
    path: '/v1/events/stream',
    listener: 'api',
    summary: "The tenant's events as they come, resumable by Last-Event-ID",
    description:
      'Server-sent events (WHATWG HTML, section 9.2), from now on or after the one named. A stream ends with its token, and when the replica goes: come back with the last id. A tenant may hold 10 of them at a replica.',
    ...AUDITOR,
    audit: 'audit.followed',
    query: z
      .strictObject({ ...filter, after: z.string().min(1).max(64).optional().describe('id of the last event seen') })
      .refine(namesPersonWhole, PERSON_RULE),
    headers: z.strictObject({
      'last-event-id': z.string().min(1).max(64).optional().describe('the same, as browsers send it'),
    }),
    answers: { 200: 'stream' },
    produces: 'text/event-stream',
    problems: ['invalid_input', 'too_many_requests', 'unavailable'],
    async handle({ principal, query, headers }, audit) {
      const { tenant } = principal;
      const retry = { retryAfterSeconds: RETRY_AFTER_SECONDS };
      if (openOf(tenant) >= STREAMS_OF_TENANT) throw problem('too_many_requests', retry);
      if ([...open.values()].reduce((sum, own) => sum + own, 0) >= STREAMS) throw problem('unavailable', retry);
      const { person, after, ...asked } = filterOf(query);
      const cursor = headers['last-event-id'] ?? after;
      const begin = cursor === undefined ? ((await newestCheckpoint(log.query))?.size ?? 0) : indexOf(cursor) + 1;
      const filterNow = async () => ({ ...asked, subject: await subjectOf(log, tenant, person) });
      const ended = async () => Date.now() >= principal.expiresAt.getTime() || (await isDraining());
      const following = { tenant, filterNow, begin, ended };
      const counted = async function* () {
        count(tenant, 1);
        try {
          yield* followEvents(log, following);
        } finally {
          count(tenant, -1);
        }
      };
      return audit.stream(
        { details: { from: begin } },
        { source: counted(), contentType: 'text/event-stream', headers: { 'x-accel-buffering': 'no' } },
      );
    },
  });
};
