import { ownProblems, quotaOf, route } from '@postern/http';
import { queryIn } from '@postern/postgres';
import { problem, Problem } from '@postern/runtime';
import { z } from 'zod';
import { type ChangeVersions } from '../records/change-versions.ts';
import { type GetRecord } from '../records/get-record.ts';
import { type PutRecord } from '../records/put-record.ts';
import { rememberRefusal } from '../records/repeated-write.ts';
import { batchOperation, batchResult, type BatchOperation, type BatchResult } from './batch-operation.ts';
import { runOperation, type BatchAudit, type BatchPlace, type OperationOf } from './run-operation.ts';
import { namespaceOf } from './namespace.ts';
import { problems } from '../problems.ts';

const MOST_OPERATIONS = 100;
/** Of a request, and of the payloads in an answer. */
const MOST_BYTES = 8 << 20;
/** Of up to 1 MiB each: memory holds those that are under way, and what the answer has room for. */
const READS_AT_ONCE = 16;
const WRITES = 'records:write';

export type RecordBatch = GetRecord & PutRecord & ChangeVersions;

/**
 * Many operations in one request, in their order; reads that stand side by side run together. Each succeeds or fails by
 * itself, and each is an event of its own. Writes need `records:write` as well.
 */
export const recordBatch = (deps: RecordBatch) =>
  route({
    method: 'POST',
    path: '/v1/record-batches',
    listener: 'api',
    summary: 'Read, write and delete many records',
    description:
      'At most 100 operations, 8 MiB in all; done in their order, reads that stand side by side together. Reads for which the answer has no room are not done (413); writes are. Each succeeds or fails by itself with the status of its single route, and is an event of its own. Writes need `records:write` as well. With an `Idempotency-Key` each write is done once.',
    scope: 'records:read',
    audit: 'records.batched',
    bodyLimit: MOST_BYTES,
    body: z.strictObject({ operations: z.array(batchOperation(deps.now)).min(1).max(MOST_OPERATIONS) }),
    idempotency: 'accepted',
    answers: { 200: z.strictObject({ results: z.array(batchResult) }) },
    problems: ['insufficient_scope', 'keys_unavailable'],
    async handle({ principal, workload, body: { operations }, idempotency }, audit) {
      if (operations.some(({ op }) => op !== 'get') && !principal.scopes.has(WRITES)) throw lackingWrites();
      const place = { tenant: principal.tenant, namespace: namespaceOf(workload) };
      const results = await runInOrder(deps, place, operations, {
        audit,
        idempotency,
        mostRecords: quotaOf(principal, 'crypto-store').records,
      });
      const failed = results.filter(({ status }) => status >= 400).length;
      return audit.released({ details: { count: results.length, failed } }, { status: 200, body: { results } });
    },
  });

const lackingWrites = (): Problem =>
  problem('insufficient_scope', {
    headers: {
      'www-authenticate': `Bearer realm="postern", error="insufficient_scope", scope="records:read ${WRITES}"`,
    },
  });

async function runInOrder(
  deps: RecordBatch,
  place: BatchPlace,
  operations: readonly BatchOperation[],
  { audit, idempotency, mostRecords }: OperationOf,
): Promise<BatchResult[]> {
  let room = MOST_BYTES;
  let full = false;
  const run = async (operation: BatchOperation, at: number): Promise<BatchResult> => {
    const repeatable = idempotency && { ...idempotency, key: `${idempotency.key} ${at}` };
    try {
      // Nothing is read that has no room: a small request would fill the memory.
      if (full && operation.op === 'get') throw problem('payload_too_large');
      const result = await runOperation(deps, place, operation, { audit, idempotency: repeatable, mostRecords });
      const bytes = result.payload ? Buffer.byteLength(JSON.stringify(result.payload)) : 0;
      // What no longer fits was read and recorded all the same; it is asked for again in another request.
      if (bytes > room) {
        full = true;
        return { key: operation.key, status: 413, code: 'payload_too_large' };
      }
      room -= bytes;
      return result;
    } catch (error) {
      const refused = await refusedItem(operation, error, audit);
      if (repeatable && operation.op !== 'get' && refused.status < 500)
        await rememberRefusal(queryIn(deps.db), repeatable, { code: refused.code, at: deps.now() });
      return refused;
    }
  };
  const results: BatchResult[] = [];
  while (results.length < operations.length) {
    const from = results.length;
    const rest = operations.slice(from);
    const reads = rest.findIndex(({ op }) => op !== 'get');
    const together = rest.slice(0, reads === -1 ? rest.length : Math.max(reads, 1));
    results.push(...(await eachOf(together, (operation, at) => run(operation, from + at))));
  }
  return results;
}

/** What `act` makes of each, in their order; so many at once. */
async function eachOf<Item, Result>(
  items: Item[],
  act: (item: Item, at: number) => Promise<Result>,
): Promise<Result[]> {
  const results: Result[] = [];
  const left = items.entries();
  const next = async () => {
    for (const [at, item] of left) results[at] = await act(item, at);
  };
  await Promise.all(Array.from({ length: READS_AT_ONCE }, next));
  return results;
}

const table: Readonly<Record<string, { status: number }>> = { ...ownProblems, ...problems };
const actions = { get: 'record.read', put: 'record.written', delete: 'record.deleted' } as const;

/** A refusal that belongs to one item is its result, and an event; anything else ends the batch. */
async function refusedItem({ op, key }: BatchOperation, error: unknown, audit: BatchAudit) {
  const status = error instanceof Problem ? table[error.code]?.status : undefined;
  if (!(error instanceof Problem) || status === undefined || error.code === 'audit_unavailable') throw error;
  const outcome = status >= 500 ? 'failed' : 'refused';
  await audit.item({ action: actions[op], outcome, reason: error.code, details: {} } as Parameters<
    BatchAudit['item']
  >[0]);
  return { key, status, code: error.code } satisfies BatchResult;
}
