import { route } from '@postern/http';
import { type Kysely } from 'kysely';
import { z } from 'zod';
import { type Schema } from '../db/schema.ts';
import { exportHashes } from '../records/export-hashes.ts';
import { versionStates } from '../records/list-versions.ts';
import { cursor, cursorOf } from './cursor.ts';

const page = z.strictObject({
  hashes: z.array(
    z.strictObject({
      id: z.uuid().describe('`resource.id` of the events'),
      namespace: z.string().describe('the workload whose record it is'),
      version: z.int().describe('`resource.version` of the write'),
      newest: z.boolean().describe('whether it is the newest of its record'),
      state: z.enum(versionStates),
      ciphertext_hash: z.string().nullable().describe('`details.ciphertextHash` of the write; null once destroyed'),
    }),
  ),
  next: z.string().nullable().describe('`cursor` of the next page; null after the last'),
});

const position = z.tuple([z.string().max(63), z.uuid(), z.int().min(0)]);

/**
 * What an auditor holds against the log (R34): every version of every record of the tenant with the hash of what stands in
 * the database now. No key, no plaintext.
 */
export const recordHashes = ({ db }: { db: Kysely<Schema> }) =>
  route({
    method: 'GET',
    path: '/v1/record-hashes',
    listener: 'api',
    summary: 'Versions and hashes of all records, to compare with the log',
    description:
      'What an auditor holds against the log: every version of every record of the tenant with the hash of what stands in the database now. No key, no plaintext.',
    scope: 'records:audit',
    audit: 'records.exported',
    query: z.strictObject({
      cursor: cursorOf(position).optional().describe('`next` of the page before'),
      limit: z.coerce.number().int().min(1).max(500).default(200).describe('versions a page'),
    }),
    answers: { 200: page },
    async handle({ principal, query: { cursor: after = null, limit } }, audit) {
      const { hashes, next } = await exportHashes(db, { tenant: principal.tenant, after, limit });
      const shown = hashes.map(({ ciphertextHash, ...hash }) => ({ ...hash, ciphertext_hash: ciphertextHash }));
      return audit.released(
        { details: { count: hashes.length } },
        { status: 200, body: { hashes: shown, next: cursor(next) } },
      );
    },
  });
