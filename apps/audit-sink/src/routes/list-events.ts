import { actionNames, outcomes } from '@postern/audit';
import { flag, route } from '@postern/http';
import { z } from 'zod';
import { searchEvents } from '../search/search-events.ts';
import { type ReadLog, type Reader } from './deps.ts';
import { instant } from './instant.ts';

const event = z.looseObject({
  id: z.string().describe('UUID of the event'),
  time: z.string().describe('when it was, RFC 3339'),
  action: z.string().describe('what was done: `record.read`'),
  outcome: z.enum(outcomes),
});
const position = z.int().min(0);
const evidence = z.strictObject({
  begin: position.describe('index of the first entry that was looked at'),
  end: position.describe('index after the last one'),
  pseudonym: z.string().describe('of the tenant, as receipts of batches have it'),
  receipts: z
    .array(
      z.strictObject({
        index: position.describe('place of the batch’s receipt in the log'),
        leaf: z.string().describe('what its leaf holds, base64'),
        proof: z.array(z.string()).describe('its inclusion, base64 (RFC 9162 section 2.1.3)'),
      }),
    )
    .describe('they say how many events of which tenant each batch had: so none is missing'),
  unmatched: z.array(position).describe('entries of the tenant that the filter left out'),
  erased: z.array(position).describe('entries whose events were erased'),
});

/** What events may be asked for by: time, who, what, on what, how it ended. */
export const eventFilter = {
  from: instant.optional(),
  to: instant.optional(),
  action: z.enum(actionNames as [string, ...string[]]).optional(),
  outcome: z.enum(outcomes).optional(),
  actor: z.string().min(1).max(256).optional().describe('who did it: `sub` of a person, with `issuer`'),
  issuer: z.string().min(1).max(256).optional().describe('where that person is known'),
  workload: z.string().min(1).max(256).optional().describe('through which workload'),
  resource: z.string().min(1).max(580).optional().describe('on what: `type:id`'),
  trace: z.string().min(1).max(128).optional().describe('trace id of W3C Trace Context'),
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
        after: z.string().min(1).max(64).optional().describe('`next` of the page before'),
        limit: z.coerce.number().int().min(1).max(200).default(50).describe('events a page'),
        order: z.enum(['oldest', 'newest']).default('oldest'),
        evidence: flag.default(false).describe('with what proves that the page is whole'),
      })
      .refine(namesPersonWhole, PERSON_RULE),
    answers: {
      200: z.strictObject({
        events: z.array(event),
        next: z.string().optional().describe('`after` of the next page; absent at the end'),
        evidence: evidence.optional(),
        indexes: z.array(position).optional().describe('places in the log, one an event'),
        salts: z
          .array(z.string())
          .optional()
          .describe('base64url, one an event: with it an event is held against the commitment in its leaf'),
        checkpoint: z.string().optional().describe('the signed note that the proofs are about'),
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
