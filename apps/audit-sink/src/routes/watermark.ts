import { watermark as shape } from '@postern/audit';
import { open, route } from '@postern/http';
import { problem } from '@postern/runtime';
import { z } from 'zod';
import { readWatermark } from '../log/read-watermark.ts';
import { type ReadLog } from './deps.ts';

/**
 * How far the log holds a producer's events; each producer asks for its own. It is no event: it would be one of ours, whose
 * watermark is asked for in turn, for ever.
 */
export const watermark = ({ query, key }: ReadLog, producers: readonly string[]) =>
  route({
    method: 'GET',
    path: '/v1/watermarks/:producer',
    listener: 'api',
    summary: 'How far the log holds the events of the calling service',
    access: 'workload',
    workloads: producers,
    audit: 'open',
    params: z.strictObject({ producer: z.string().min(1).max(64).describe('the calling service itself') }),
    query: z.strictObject({
      from: z.coerce
        .number()
        .int()
        .min(0)
        .max(Number.MAX_SAFE_INTEGER)
        .default(0)
        .describe('entries of the checkpoint that the caller holds'),
    }),
    answers: { 200: shape },
    problems: ['workload_refused', 'tile_given_up'],
    async handle({ workload, params: { producer }, query: { from } }) {
      if (workload !== producer) throw problem('workload_refused');
      return open({ status: 200, body: await readWatermark(query, key, { producer, from }) });
    },
  });
