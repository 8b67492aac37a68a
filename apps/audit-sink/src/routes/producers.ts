import { route } from '@postern/http';
import { z } from 'zod';
import { readProducers } from '../log/read-producers.ts';
import { AUDITOR, type ReadLog } from './deps.ts';

const position = z.int().min(0);
const producer = z.strictObject({
  producer: z.string(),
  held: z.array(z.strictObject({ epoch: position, first: position, last: position })),
  lastSeen: z.string().nullable(),
  closed: z.strictObject({ epoch: position, seq: position, at: z.string() }).nullable(),
  gaps: z.array(
    z.strictObject({
      epoch: position,
      first: position,
      last: position,
      since: z.string(),
      ageSeconds: z.number().min(0),
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
        treeSize: position,
        published: position.nullable(),
        producers: z.array(producer),
        wanted: z.array(z.strictObject({ producer: z.string(), epoch: position, seq: position, entries: position })),
      }),
    },
    async handle(_, audit) {
      const body = await readProducers(log.query, producers);
      return audit.released({ details: { part: 'producers' } }, { status: 200, body });
    },
  });
