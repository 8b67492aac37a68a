import { contentOf, type Idempotency, type RouteAudit } from '@postern/http';
import { problem } from '@postern/runtime';
import { changeVersions, deleting, type ChangeVersions } from '../records/change-versions.ts';
import { entityTag } from '../records/entity-tag.ts';
import { getRecord, type GetRecord, type OpenedRecord } from '../records/get-record.ts';
import { putRecord, type PutRecord } from '../records/put-record.ts';
import { guardOf } from '../records/record-guard.ts';
import { type BatchOperation, type BatchResult } from './batch-operation.ts';
import { changed } from './changed.ts';
import { written } from './written.ts';

export type BatchPlace = { tenant: string; namespace: string };
export type BatchAudit = Pick<
  RouteAudit<'records.batched', Record<number, never>>,
  'item' | 'itemWithin' | 'itemJoined'
>;

export type OperationOf = {
  audit: BatchAudit;
  idempotency: Idempotency | null;
  /** How many records the tenant may have. */
  mostRecords: number | undefined;
};

type Operation<Op> = Extract<BatchOperation, { op: Op }>;

const MOST_READS = 3;

/**
 * One operation of a batch, recorded by its own event before it is answered.
 * @throws Problem as the single route does.
 */
export function runOperation(
  deps: GetRecord & PutRecord & ChangeVersions,
  place: BatchPlace,
  operation: BatchOperation,
  { audit, idempotency, mostRecords }: OperationOf,
): Promise<BatchResult> {
  switch (operation.op) {
    case 'get':
      return get(deps, place, operation, audit);
    case 'put':
      return put(deps, place, operation, { audit, idempotency, mostRecords });
    case 'delete':
      return remove(deps, place, operation, { audit, idempotency });
  }
}

async function get(
  deps: GetRecord,
  place: BatchPlace,
  { key, version }: Operation<'get'>,
  audit: BatchAudit,
): Promise<BatchResult> {
  for (let attempt = 0; attempt < MOST_READS; attempt += 1) {
    const record = await getRecord(deps, { ...place, key }, { version, fromPostgres: attempt > 0 });
    const fresh = await audit.item({
      action: 'record.read',
      resource: { type: 'record', id: record.id, version: record.version },
      details: { source: record.source },
      guard: guardOf(record),
    });
    if (fresh) return { key, status: 200, ...shown(record) };
  }
  throw problem('read_stale', { retryAfterSeconds: 1 });
}

function shown(record: OpenedRecord): Omit<BatchResult, 'key' | 'status'> {
  const { type, bytes, metadata, expiresAt } = record.content;
  return {
    id: record.id,
    version: record.version,
    etag: entityTag(record),
    type,
    payload: type === 'application/octet-stream' ? { base64: bytes.toString('base64') } : { text: bytes.toString() },
    ...(Object.keys(metadata).length > 0 ? { metadata } : {}),
    ...(expiresAt === null ? {} : { expires_at: expiresAt.toISOString() }),
    source: record.source,
  };
}

async function put(
  deps: PutRecord,
  place: BatchPlace,
  operation: Operation<'put'>,
  { audit, idempotency, mostRecords }: OperationOf,
): Promise<BatchResult> {
  const { key, payload } = operation;
  const isText = 'text' in payload;
  const type = operation.type ?? (isText ? 'text/plain; charset=utf-8' : 'application/octet-stream');
  const write = {
    ...contentOf(type, isText ? Buffer.from(payload.text) : Buffer.from(payload.base64, 'base64')),
    metadata: operation.metadata,
    expiresAt: operation.expires_at,
    keepVersions: operation.keep_versions,
    matchRequired: operation.require_match,
    conditions: { ifMatch: operation.if_match, ifNoneMatch: operation.if_none_match },
    mostRecords,
    idempotency,
  };
  return putRecord(deps, { ...place, key }, write, async (make, record) => {
    if (!(await audit.itemJoined(make, { action: 'record.written', ...written(record) }))) return null;
    const { id, version, created } = record;
    return { key, status: created ? 201 : 200, id, version, etag: entityTag(record) };
  });
}

function remove(
  deps: ChangeVersions,
  place: BatchPlace,
  { key, version, if_match: ifMatch }: Operation<'delete'>,
  { audit, idempotency }: Pick<OperationOf, 'audit' | 'idempotency'>,
): Promise<BatchResult> {
  const change = { at: { ...place, key }, conditions: { ifMatch }, act: deleting(version), idempotency };
  return changeVersions(deps, change, async (tx, record) => {
    await audit.itemWithin(tx, { action: 'record.deleted', ...changed(record) });
    return { key, status: 204, id: record.id, version: record.newest };
  });
}
