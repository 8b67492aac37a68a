import { route } from '@postern/http';
import { problem } from '@postern/runtime';
import { z } from 'zod';
import { newestCheckpoint } from '../log/checkpoints.ts';
import { NodeMissing } from '../log/nodes.ts';
import { consistencyProof, inclusionProof } from '../log/proofs.ts';
import { AUDITOR, type ReadLog } from './deps.ts';

const position = z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER);
const answer = z.strictObject({ proof: z.array(z.string()).describe('hashes in base64, in the order of RFC 9162') });

/** In base64. @throws Problem `tile_given_up` where the entries that it leads by are past their retention. */
async function shown(proof: Promise<Buffer[]>): Promise<string[]> {
  const hashes = await proof.catch((error: unknown) => {
    throw error instanceof NodeMissing ? problem('tile_given_up') : error;
  });
  return hashes.map((hash) => hash.toString('base64'));
}

async function assertSigned({ query }: ReadLog, size: number): Promise<void> {
  if (size > ((await newestCheckpoint(query))?.size ?? 0)) throw problem('tree_size_unknown');
}

/** Hashes (base64) that lead from an entry to the root of a tree of `size` entries (RFC 9162 section 2.1.3). */
export const inclusion = (deps: ReadLog) =>
  route({
    method: 'GET',
    path: '/v1/log/proofs/inclusion',
    listener: 'api',
    summary: 'Proof that an entry is in the log',
    ...AUDITOR,
    audit: 'log.proved',
    query: z.strictObject({
      index: position.describe('place of the entry'),
      size: position.describe('entries of the tree; one that was signed'),
    }),
    answers: { 200: answer },
    problems: ['tree_size_unknown', 'tile_given_up'],
    async handle({ query: { index, size } }, audit) {
      await assertSigned(deps, size);
      if (index >= size) throw problem('tree_size_unknown');
      const proof = await shown(inclusionProof(deps.query, index, size));
      return audit.released(
        { details: { proof: 'inclusion', treeSize: size, from: index } },
        { status: 200, body: { proof } },
      );
    },
  });

/** Hashes (base64) that show a tree of `to` entries to extend that of `from` (RFC 9162 section 2.1.4). */
export const consistency = (deps: ReadLog) =>
  route({
    method: 'GET',
    path: '/v1/log/proofs/consistency',
    listener: 'api',
    summary: 'Proof that the log only grew',
    ...AUDITOR,
    audit: 'log.proved',
    query: z.strictObject({
      from: position.describe('entries of the earlier tree'),
      to: position.describe('entries of the later one; one that was signed'),
    }),
    answers: { 200: answer },
    problems: ['tree_size_unknown', 'tile_given_up'],
    async handle({ query: { from, to } }, audit) {
      await assertSigned(deps, to);
      if (from > to) throw problem('tree_size_unknown');
      const proof = await shown(consistencyProof(deps.query, from, to));
      return audit.released(
        { details: { proof: 'consistency', treeSize: to, from } },
        { status: 200, body: { proof } },
      );
    },
  });
