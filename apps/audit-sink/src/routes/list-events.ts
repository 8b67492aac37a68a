import { actionNames, outcomes } from '@postern/audit';
import { flag, route } from '@postern/http';
import { z } from 'zod';
import { searchEvents } from '../search/search-events.ts';
import { type ReadLog, type Reader } from './deps.ts';

const event = z.looseObject({ id: z.string(), time: z.string(), action: z.string(), outcome: z.enum(outcomes) });
const position = z.int().min(0);
const evidence = z.strictObject({
  begin: position,
  end: position,
  pseudonym: z.string(),
  receipts: z.array(z.strictObject({ index: position, leaf: z.string(), proof: z.array(z.string()) })),
  unmatched: z.array(position),
  erased: z.array(position),
});

/** What events may be asked for by: time, who, what, on what, how it ended. */
export const eventFilter = {
  from: z.iso.datetime({ offset: true }).optional(),
  to: z.iso.datetime({ offset: true }).optional(),
  action: z.enum(actionNames as [string, ...string[]]).optional(),
  outcome: z.enum(outcomes).optional(),
  /** A person: `sub`, with the `issuer` that gave it. */
  actor: z.string().min(1).max(256).optional(),
  issuer: z.string().min(1).max(256).optional(),
  workload: z.string().min(1).max(256).optional(),
  /** `type:id` */
  resource: z.string().min(1).max(580).optional(),
  trace: z.string().min(1).max(128).optional(),
};

/** A person is named whole: the same `sub` of another issuer is somebody else (R3). */
export const namesPersonWhole = ({ actor, issuer }: { actor?: string | undefined; issuer?: string | undefined }) =>
  (actor === undefined) === (issuer === undefined);
export const PERSON_RULE = { path: ['actor'], message: 'actor and issuer come together' };

/** The filter with the person as one value. */
export function filterOf<T extends { actor?: string | undefined; issuer?: string | undefined }>(query: T) {
  const { actor, issuer, ...rest } = query;
  return { ...rest, person: actor !== undefined && issuer !== undefined ? { sub: actor, issuer } : undefined };
}

/** The tenant's events, by what is asked for. Reading them is an event too. */
export const listEventsRoute = (log: ReadLog, reader: Reader) =>
  route({
    method: 'GET',
    ...reader,
    listener: 'api',
    summary: "The tenant's events, page by page",
    audit: 'audit.read',
    query: z
      .strictObject({
        ...eventFilter,
        after: z.string().min(1).max(64).optional(),
        limit: z.coerce.number().int().min(1).max(200).default(50),
        order: z.enum(['oldest', 'newest']).default('oldest'),
        evidence: flag.default(false),
      })
      .refine(namesPersonWhole, PERSON_RULE),
    answers: {
      200: z.strictObject({
        events: z.array(event),
        next: z.string().optional(),
        evidence: evidence.optional(),
        indexes: z.array(position).optional(),
        salts: z
          .array(z.string())
          .optional()
          .describe('base64url, one an event: with it an event is held against the commitment in its leaf'),
        checkpoint: z.string().optional(),
      }),
    },
    problems: ['invalid_input'],
    async handle({ principal, query }, audit) {
      const { events, ...page } = await searchEvents(log, principal.tenant, filterOf(query));
      const [from, to] = [events.at(0)?.id, events.at(-1)?.id];
      const body = {
        ...page,
        events: events.map(({ event: one }) => one),
        ...(page.evidence
          ? {
              indexes: events.map(({ index }) => index),
              salts: events.map(({ salt }) => salt.toString('base64url')),
            }
          : {}),
      };
      return audit.released(
        { details: { count: events.length, ...(from && to ? { from, to } : {}) } },
        { status: 200, body },
      );
    },
  });
