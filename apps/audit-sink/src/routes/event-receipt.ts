import { route } from '@postern/http';
import { z } from 'zod';
import { readReceipt } from '../search/read-receipt.ts';
import { followedKey, type ReadLog, type Reader } from './deps.ts';

const answer = z.strictObject({
  event: z.looseObject({ id: z.string() }),
  salt: z.string(),
  index: z.int(),
  leaf: z.string(),
  proof: z.array(z.string()),
  checkpoint: z.string(),
  origin: z.string(),
  key: z.string(),
  keys: z.array(followedKey),
});

/** An event with what proves, offline, that it is in the log. */
export const eventReceipt = (log: ReadLog, { path, ...guard }: Reader) =>
  route({
    method: 'GET',
    path: `${path}/:id/receipt`,
    listener: 'api',
    summary: 'An event with its proof of inclusion and a signed checkpoint',
    ...guard,
    audit: 'receipt.read',
    params: z.strictObject({ id: z.uuid() }),
    answers: { 200: answer },
    problems: ['event_not_found'],
    async handle({ principal, params: { id } }, audit) {
      const { treeSize, ...body } = await readReceipt(log, { tenant: principal.tenant, id });
      return audit.released(
        { resource: { type: 'event', id }, details: { index: body.index, treeSize } },
        { status: 200, body },
      );
    },
  });
