import { route } from '@postern/http';
import { z } from 'zod';
import { readReceipt } from '../search/read-receipt.ts';
import { followedKey, type ReadLog, type Reader } from './deps.ts';

const answer = z.strictObject({
  event: z.looseObject({ id: z.string().describe('UUID of the event') }),
  salt: z.string().describe('base64url: with it the event is held against the commitment in its leaf'),
  index: z.int().describe('place of its leaf in the log'),
  leaf: z.string().describe('what the leaf holds, base64'),
  proof: z.array(z.string()).describe('its inclusion, base64 (RFC 9162 section 2.1.3)'),
  checkpoint: z.string().describe('a signed note (C2SP tlog-checkpoint)'),
  origin: z.string().describe('name of the log'),
  key: z.string().describe('what the log says its key is; trust the one that you kept'),
  keys: z.array(followedKey),
});

/** An event with what proves, offline, that it is in the log. */
export const eventReceipt = (log: ReadLog, { path, ...guard }: Reader) =>
  route({
    method: 'GET',
    path: `${path}/:id/receipt`,
    listener: 'api',
    summary: 'An event with its proof of inclusion and a signed checkpoint',
    description: 'All that an auditor needs offline but the key, which they keep from before.',
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
