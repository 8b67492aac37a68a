import { route } from '@postern/http';
import { problem } from '@postern/runtime';
import { z } from 'zod';
import { newestCheckpoint, signNewest } from '../log/checkpoints.ts';
import { exportEvents } from '../search/export-events.ts';
import { exportOcsf } from '../search/export-ocsf.ts';
import { entriesOfTime } from '../search/find-events.ts';
import { subjectOf } from '../search/subject-of.ts';
import { eventFilter, filterOf, namesPersonWhole, PERSON_RULE } from './list-events.ts';
import { AUDITOR, type ReadLog } from './deps.ts';

/** The tenant's events with what proves them and that none is missing, as NDJSON; or in OCSF, for tools that read it. */
export const exportRoute = (log: ReadLog) =>
  route({
    method: 'GET',
    path: '/v1/export',
    listener: 'api',
    summary: "The tenant's events as NDJSON with a bundle of proofs, or in OCSF",
    ...AUDITOR,
    audit: 'audit.exported',
    tier: 'sensitive',
    query: z
      .strictObject({ ...eventFilter, format: z.enum(['ndjson', 'ocsf']).default('ndjson') })
      .refine(namesPersonWhole, PERSON_RULE),
    answers: { 200: 'stream' },
    produces: 'application/x-ndjson',
    problems: ['log_empty', 'invalid_input'],
    async handle({ principal: { tenant }, query: { format, ...asked } }, audit) {
      const { person, ...filter } = filterOf(asked);
      await signNewest(log.query, log.key);
      const newest = await newestCheckpoint(log.query);
      if (!newest) throw problem('log_empty');
      const [kept] = await log.query<{ first: string | null }>('select min(first) as first from log_runs');
      const time = await entriesOfTime(log.query, filter);
      const end = Math.min(time.end, newest.size);
      // Of a batch that was given up in part the receipt stands: an export begins with a whole one.
      const begin = Math.min(Math.max(time.begin, Number(kept?.first ?? 0)), end);
      const subject = await subjectOf(log, tenant, person);
      const wanted = { tenant, filter: { ...filter, subject }, begin, end };
      const { note: checkpoint, size: treeSize } = newest;
      const source =
        format === 'ocsf'
          ? exportOcsf(log, wanted)
          : exportEvents(log, { ...wanted, treeSize, checkpoint, pseudonym: await log.pseudonymOf(tenant) });
      return audit.stream(
        { details: { format, from: begin, to: end } },
        { source, contentType: 'application/x-ndjson' },
      );
    },
  });
