import { cancelJob, jobEvents, jobStates, readJob, type JobEvent, type JobReader, type JobView } from '@postern/bus';
import type { Principal } from '@postern/oidc';
import { queryIn, type Query } from '@postern/postgres';
import { problem } from '@postern/runtime';
import type { Kysely } from 'kysely';
import { setTimeout as sleep } from 'node:timers/promises';
import { z } from 'zod';
import type { Route } from './declaration.ts';
import { group } from './group.ts';
import { route } from './route.ts';
import { createStreamSlots } from './stream-slots.ts';

export type JobRoutes<Schema> = {
  db: Kysely<Schema>;
  /** Scope that reads a job, and the one that cancels it. */
  scopes: { read: string; cancel: string };
};

const job = z.strictObject({
  id: z.uuid(),
  kind: z.string().describe('what it does: `records.rewrap`'),
  state: z.enum(jobStates),
  progress: z.strictObject({
    done: z.int().describe('items that are done, in the unit of the job'),
    total: z.int().nullable().describe('of how many; null where it is not known'),
  }),
  result: z.record(z.string(), z.unknown()).nullable().describe('what came of it, by its kind; null until it is done'),
  reason: z.string().nullable().describe('why it failed, as a code'),
  cancel_requested: z.boolean().describe('it was asked to end and does so before its next step'),
  created_at: z.iso.datetime(),
  ended_at: z.iso.datetime().nullable(),
});
const params = z.strictObject({ id: z.uuid() });
const EVENT_NUMBER = z.string().regex(/^\d{1,9}$/);

const LOOK_EVERY_MS = 1_000;
/** A stream ends after this; whoever reads it comes back with `Last-Event-ID`. */
const STREAM_MS = 300_000;
/** Streams that a client of a tenant may hold open at a replica: each asks Postgres once a second. */
const MOST_STREAMS = 8;

/**
 * A service's background jobs at `/v1/jobs/:id`: how far one is, its events as they come, and its cancelling. A job of another
 * tenant, or of another client where it names one, is not there.
 */
export function jobRoutes<Schema>({ db, scopes }: JobRoutes<Schema>): Route[] {
  const query = queryIn(db);
  const slots = createStreamSlots({ most: MOST_STREAMS, lifeMs: STREAM_MS });
  return group('Jobs', 'Work in the background: how far it is, its events as they come, and its cancelling.', [
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
      description: `Each event has its number as \`id\`, what happened as \`event\` and JSON as \`data\` (WHATWG HTML, section 9.2). The stream ends
with the job, and after ${STREAM_MS / 60_000} minutes: come back with \`Last-Event-ID\`. A client may hold ${MOST_STREAMS} of them.`,
      scope: scopes.read,
      audit: 'job.read',
      params,
      headers: z.strictObject({ 'last-event-id': EVENT_NUMBER.optional().describe('number of the last event seen') }),
      answers: { 200: 'stream' },
      produces: 'text/event-stream',
      problems: ['job_not_found', 'too_many_requests'],
      async handle({ principal, params: { id }, headers }, audit) {
        const reader = readerOf(principal);
        const view = found(await readJob(query, id, reader));
        const until = Math.min(Date.now() + STREAM_MS, principal.expiresAt.getTime());
        const following = { id, reader, after: Number(headers['last-event-id'] ?? 0), until };
        const giveBack = slots.take(`${reader.tenant} ${reader.client}`);
        const source = endingWith(eventStream(query, following), giveBack);
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
  ]);
}

const readerOf = ({ tenant, clientId }: Principal): JobReader => ({ tenant, client: clientId });
const whatOf = ({ id, kind }: JobView) => ({ resource: { type: 'job', id }, details: { kind } });

function found(view: JobView | null): JobView {
  if (!view) throw problem('job_not_found');
  return view;
}

const answerOf = ({ cancelRequested, createdAt, endedAt, result, ...rest }: JobView) => ({
  ...rest,
  result,
  cancel_requested: cancelRequested,
  created_at: createdAt.toISOString(),
  ended_at: endedAt?.toISOString() ?? null,
});

async function* endingWith<T>(source: AsyncIterable<T>, end: () => void): AsyncGenerator<T> {
  try {
    yield* source;
  } finally {
    end();
  }
}

type Following = { id: string; reader: JobReader; after: number; until: number };

/** Server-sent events (WHATWG HTML, section 9.2), each with its number as id; ends with the job. */
async function* eventStream(query: Query, { id, reader, after, until }: Following): AsyncGenerator<string> {
  let number = after;
  for (; Date.now() < until; await sleep(LOOK_EVERY_MS)) {
    // Before its events are read: of a job that has ended there is none after them.
    const job = await readJob(query, id, reader);
    const ended = job === null || job.endedAt !== null;
    const events = await jobEvents(query, id, number);
    for (const event of events) {
      number = event.number;
      const data = JSON.stringify({ ...event.data, at: event.at.toISOString() });
      yield `id: ${event.number}\nevent: ${event.kind}\ndata: ${data}\n\n`;
      if (LAST.has(event.kind)) return;
    }
    if (ended && events.length === 0) return;
    // A comment keeps the connection, and shows whether the other end is still there.
    if (events.length === 0) yield ': \n\n';
  }
}

const LAST = new Set<JobEvent['kind']>(['done', 'failed', 'cancelled']);
