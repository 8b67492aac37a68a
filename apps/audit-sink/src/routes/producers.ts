import { route } from '@postern/http';
import { z } from 'zod';
import { readProducers } from '../log/read-producers.ts';
import { AUDITOR, type ReadLog } from './deps.ts';

const position = z.int().min(0);
const producer = z.strictObject({
  producer: z.string().describe('the service'),
  held: z.array(
    z.strictObject({
      epoch: position.describe('of the entries'),
      first: position.describe('number of the first'),
      last: position.describe('number of the last'),
    }),
  ),
  lastSeen: z.string().nullable().describe('when a batch of it came last, RFC 3339'),
  closed: z
    .strictObject({
      epoch: position.describe('that was closed'),
      seq: position.describe('its last number that counts'),
      at: z.string().describe('when, RFC 3339'),
    })
    .nullable(),
  gaps: z.array(
    z.strictObject({
      epoch: position.describe('of what is missing'),
      first: position.describe('number of the first'),
      last: position.describe('number of the last'),
      since: z.string().describe('when it was first seen to be missing, RFC 3339'),
      ageSeconds: z.number().min(0).describe('how long ago that is'),
    }),
  ),
});

/** What the log holds of each producer, what is missing and for how long, and when it was last heard of. */
export const producersRoute = (log: ReadLog, producers: readonly string[]) =>
  route({
    method: 'GET',
    path: '/v1/log/producers',
    listener: 'api',
    summary: 'Per producer: the range held, gaps with their age, when it was last seen',
    ...AUDITOR,
    audit: 'log.read',
    answers: {
      200: z.strictObject({
        treeSize: position.describe('entries of the log'),
        published: position.nullable().describe('how many of them are published elsewhere'),
        producers: z.array(producer),
        wanted: z
          .array(
            z.strictObject({
              producer: z.string().describe('who has it'),
              epoch: position.describe('of the entries'),
              seq: position.describe('number of the first'),
              entries: position.describe('how many'),
            }),
          )
          .describe('after a restore: contents that are asked for again'),
      }),
    },
    async handle(_, audit) {
      const body = await readProducers(log.query, producers);
      return audit.released({ details: { part: 'producers' } }, { status: 200, body });
    },
  });
