import { route } from '@postern/http';
import { z } from 'zod';
import { OPERATOR, type ReadLog } from './deps.ts';

const code = z
  .string()
  .regex(/^[a-z][a-z0-9_.-]{0,62}$/)
  .describe('what was assessed: the application of a `postern.toml`');
const sha256 = z
  .string()
  .regex(/^[0-9a-f]{64}$/)
  .describe('SHA-256 of the evidence, in hex');

/**
 * Puts the hash of evidence that was taken elsewhere into the log (CA-7): whoever holds the evidence shows by the event's receipt
 * what it said, and when. The evidence itself stays with its owner.
 */
export const recordEvidence = ({ postgres }: ReadLog) =>
  route({
    method: 'POST',
    path: '/v1/log/evidence',
    listener: 'api',
    summary: 'Record the hash of evidence that was taken elsewhere',
    ...OPERATOR,
    audit: 'evidence.recorded',
    body: z.strictObject({
      subject: code,
      sha256,
      checks: z.int().min(0).max(1_000_000).describe('how many checks were made'),
      satisfied: z.int().min(0).max(1_000_000).describe('how many of them were satisfied'),
    }),
    answers: { 200: z.strictObject({ subject: code, sha256 }) },
    problems: ['invalid_input'],
    handle: ({ body: { subject, ...details } }, audit) =>
      postgres.db
        .transaction()
        .execute((tx) =>
          audit.within(
            tx,
            { resource: { type: 'evidence', id: subject }, details },
            { status: 200, body: { subject, sha256: details.sha256 } },
          ),
        ),
  });
