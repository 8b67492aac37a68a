import { actionNames, outcomes } from '@postern/audit';
import { route } from '@postern/http';
import { problem } from '@postern/runtime';
import { z } from 'zod';
import { asTenant } from '../search/as-tenant.ts';
import { AUDITOR, type ReadLog } from './deps.ts';
import { instant } from './instant.ts';

/** Beyond it the answer would be another than was asked for: whoever asks takes a shorter time. */
const MOST_ROWS = 20_000;

/** How many events of each action and outcome there were in each hour: what a graph shows. */
export const countEvents = ({ postgres }: ReadLog) =>
  route({
    method: 'GET',
    path: '/v1/events/counts',
    listener: 'api',
    summary: "The tenant's events by hour, action and outcome",
    ...AUDITOR,
    audit: 'audit.counted',
    query: z.strictObject({
      from: instant,
      to: instant,
      action: z.enum(actionNames as [string, ...string[]]).optional(),
      outcome: z.enum(outcomes).optional(),
    }),
    answers: {
      200: z.strictObject({
        counts: z.array(
          z.strictObject({
            hour: z.string().describe('its beginning, RFC 3339'),
            action: z.string().describe('what was done'),
            outcome: z.string().describe('how it ended'),
            count: z.int().min(0).describe('how many'),
          }),
        ),
      }),
    },
    problems: ['invalid_input'],
    async handle({ principal, query: { from, to, action, outcome } }, audit) {
      const rows = await asTenant(postgres, principal.tenant, (own) =>
        own<{ hour: Date; action: string; outcome: string; count: string }>(
          `select hour, action, outcome, count from log_counts
           where hour >= date_trunc('hour', $1::timestamptz, 'UTC') and hour < $2
             and ($3::text is null or action = $3) and ($4::text is null or outcome = $4)
           order by hour, action, outcome limit $5`,
          [from, to, action ?? null, outcome ?? null, MOST_ROWS + 1],
        ),
      );
      if (rows.length > MOST_ROWS) {
        const rule = `a shorter time: more than ${MOST_ROWS} counts`;
        throw problem('invalid_input', { fields: [{ field: 'query.to', rule }] });
      }
      const counts = rows.map(({ hour, count, ...named }) => ({
        hour: hour.toISOString(),
        ...named,
        count: Number(count),
      }));
      return audit.released({ details: { count: counts.length } }, { status: 200, body: { counts } });
    },
  });
