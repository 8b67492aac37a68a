import { cancelJob, jobEvents, jobStates, readJob, type JobEvent, type JobReader, type JobView } from '@postern/bus';
import type { Principal } from '@postern/oidc';
import { queryIn, type Query } from '@postern/postgres';
import { problem } from '@postern/runtime';
import type { Kysely } from 'kysely';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Route } from './declaration.ts';
import { route } from './route.ts';

export type JobRoutes<Schema> = {
  db: Kysely<Schema>;
  /** Scope that reads a job, and the one that cancels it. */
  scopes: { read: string; cancel: string };
};

const job = z.strictObject({
  id: z.uuid(),
  kind: z.string(),
  state: z.enum(jobStates),
  progress: z.strictObject({ done: z.int(), total: z.int().nullable() }),
  result: z.record(z.string(), z.json()).nullable(),
  reason: z.string().nullable(),
  cancel_requested: z.boolean(),
  created_at: z.iso.datetime(),
  ended_at: z.iso.datetime().nullable(),
});
const params = z.strictObject({ id: z.uuid() });
const EVENT_NUMBER = z.string().regex(/^\d{1,9}$/);

const LOOK_EVERY_MS = 1_000;
/** A stream ends after this; whoever reads it comes back with `Last-Event-ID`. */
const STREAM_MS = 300_000;

/**
 * A service's background jobs at `/v1/jobs/:id`: how far one is, its events as they come, and its cancelling. A job of another
 * tenant, or of another client where it names one, is not there.
 */
export function jobRoutes<Schema>({ db, scopes }: JobRoutes<Schema>): Route[] {
  const query = queryIn(db);
  return [
    route({
      method: 'GET',
      path: '/v1/jobs/:id',
      listener: 'api',
      summary: 'A background job: state, progress, result',
      scope: scopes.read,
      audit: 'job.read',
      params,
      answers: { 200: job },
      problems: ['job_not_found'],
      async handle({ principal, params: { id } }, audit) {
        const view = found(await readJob(query, id, readerOf(principal)));
        return audit.released(whatOf(view), { status: 200, body: answerOf(view) });
      },
    }),
    route({
      method: 'GET',
      path: '/v1/jobs/:id/events',
      listener: 'api',
      summary: 'The events of a background job, as server-sent events; goes on after Last-Event-ID',
      scope: scopes.read,
      audit: 'job.read',
      params,
      headers: z.strictObject({ 'last-event-id': EVENT_NUMBER.optional() }),
      answers: { 200: 'stream' },
      problems: ['job_not_found'],
      async handle({ principal, params: { id }, headers }, audit) {
        const view = found(await readJob(query, id, readerOf(principal)));
        const source = eventStream(query, id, Number(headers['last-event-id'] ?? 0));
        return audit.stream(whatOf(view), { source, contentType: 'text/event-stream' });
      },
    }),
    route({
      method: 'POST',
      path: '/v1/jobs/:id/cancel',
      listener: 'api',
      summary: 'Ask a background job to end before its next step',
      scope: scopes.cancel,
      audit: 'job.cancelled',
      params,
      answers: { 200: job },
      problems: ['job_not_found'],
      handle: ({ principal, params: { id } }, audit) =>
        db.transaction().execute(async (tx) => {
          const view = found(await cancelJob(queryIn(tx), id, readerOf(principal)));
          return audit.within(tx, whatOf(view), { status: 200, body: answerOf(view) });
        }),
    }),
  ];
}

const readerOf = ({ tenant, clientId }: Principal): JobReader => ({ tenant, client: clientId });
const whatOf = ({ id, kind }: JobView) => ({ resource: { type: 'job', id }, details: { kind } });

function found(view: JobView | null): JobView {
  if (!view) throw problem('job_not_found');
  return view;
}

const answerOf = ({ cancelRequested, createdAt, endedAt, result, ...rest }: JobView) => ({
  ...rest,
  result: result as z.input<typeof job>['result'],
  cancel_requested: cancelRequested,
  created_at: createdAt.toISOString(),
  ended_at: endedAt?.toISOString() ?? null,
});

const LAST = new Set<JobEvent['kind']>(['done', 'failed', 'cancelled']);

/** Server-sent events (WHATWG HTML, section 9.2), each with its number as id; ends with the job. */
async function* eventStream(query: Query, id: string, after: number): AsyncGenerator<string> {
  let number = after;
  for (const end = Date.now() + STREAM_MS; Date.now() < end; await sleep(LOOK_EVERY_MS)) {
    const events = await jobEvents(query, id, number);
    for (const event of events) {
      number = event.number;
      const data = JSON.stringify({ ...event.data, at: event.at.toISOString() });
      yield `id: ${event.number}\nevent: ${event.kind}\ndata: ${data}\n\n`;
      if (LAST.has(event.kind)) return;
    }
    // A comment keeps the connection, and shows whether the other end is still there.
    if (events.length === 0) yield ': \n\n';
  }
}
