import { type CallForAnswer, shaped } from './call-service.ts';
import { type CallAs } from './options.ts';
import { createRecordLists, type RecordLists } from './record-lists.ts';
import { isoDate, type RecordType, type RecordValue, recordValue, withHeaders } from './record-value.ts';
import { jsonOf } from './send.ts';

export type StoredRecord = { status: string; key: string; version?: number };
export type RetrievedRecord = { key: string; payload: string; source: 'cache' | 'db' };

export type WriteOptions = {
  /** Of a string `text/plain; charset=utf-8`, of bytes `application/octet-stream`, unless said. */
  type?: RecordType;
  /** At most 16 names and values, sealed with the record. */
  metadata?: Record<string, string>;
  expiresAt?: Date;
  /** Versions that are kept from now on, 1 to 64. */
  keepVersions?: number;
  /** Changes from now on need `ifMatch` or `ifNoneMatch`. */
  requireMatch?: boolean;
  /** Only over this version, by its `etag`. */
  ifMatch?: string;
  /** `'*'`: only where there is nothing yet. */
  ifNoneMatch?: string;
  /** Sent again under the same key, the write is made once. */
  idempotencyKey?: string;
};
export type WrittenRecord = { key: string; id: string; version: number; etag: string; bytes: number };
export type ReadOptions = { version?: number };
export type ChangeOptions = { ifMatch?: string };
export type ChangedRecord = { key: string; id: string; versions: number[] };

export type Records = RecordLists & {
  /** Stores a text under its key, over what was there. Scope `records:write`. */
  store(record: { key: string; payload: string }, as: CallAs): Promise<StoredRecord>;
  /** One text, decrypted. Scope `records:read`. @throws PosternError `record_not_found`, ... */
  retrieve(key: string, as: CallAs): Promise<RetrievedRecord>;
  /**
   * Writes a record's next version, text or bytes up to 1 MiB. Scope `records:write`.
   * @throws PosternError `precondition_failed`, `precondition_required`, `idempotency_key_reused`, ...
   */
  put(key: string, payload: string | Uint8Array, as: CallAs, options?: WriteOptions): Promise<WrittenRecord>;
  /** A version of a record, the newest unless said. Scope `records:read`. @throws PosternError `record_not_found`, ... */
  get(key: string, as: CallAs, options?: ReadOptions): Promise<RecordValue>;
  /** The same, unless the caller's version, by its `etag`, is still the newest: then null. */
  getIfChanged(key: string, etag: string, as: CallAs): Promise<RecordValue | null>;
  /** Deletes a record, or one version, so that it can be restored. Scope `records:write`. */
  delete(key: string, as: CallAs, options?: ChangeOptions & { version?: number }): Promise<void>;
  /** Takes the last deletion back, or that of these versions. Scope `records:write`. */
  undelete(key: string, as: CallAs, options?: ChangeOptions & { versions?: number[] }): Promise<ChangedRecord>;
  /** Destroys versions, or the whole record, for good. Scope `records:write`. */
  destroy(
    key: string,
    what: { versions: number[] } | { all: true },
    as: CallAs,
    options?: ChangeOptions,
  ): Promise<ChangedRecord>;
};

const READ = ['records:read'] as const;
const WRITE = ['records:write'] as const;
const pathOf = (key: string, more = '') => `/v1/records/${encodeURIComponent(key)}${more}`;

export function createRecords(call: CallForAnswer): Records {
  const json = async (...wanted: Parameters<CallForAnswer>) => jsonOf(await call(...wanted));
  const change = async (key: string, what: string, body: object, as: CallAs, { ifMatch }: ChangeOptions = {}) => {
    const headers = withHeaders({ 'if-match': ifMatch });
    const answer = await json({ method: 'POST', path: pathOf(key, `/${what}`), body, headers, scopes: WRITE }, as);
    return shaped<ChangedRecord>('crypto-store', answer, 'key', 'id', 'versions');
  };
  return {
    ...createRecordLists(json),
    async store(record, as) {
      const answer = await json({ method: 'POST', path: '/store', body: record, scopes: WRITE }, as);
      return shaped<StoredRecord>('crypto-store', answer, 'key');
    },
    async retrieve(key, as) {
      const path = `/retrieve/${encodeURIComponent(key)}`;
      const answer = await json({ method: 'GET', path, scopes: READ }, as);
      return shaped<RetrievedRecord>('crypto-store', answer, 'key', 'payload', 'source');
    },
    async put(key, payload, as, options = {}) {
      const isText = typeof payload === 'string';
      const headers = withHeaders({
        'content-type': options.type ?? (isText ? 'text/plain; charset=utf-8' : 'application/octet-stream'),
        'if-match': options.ifMatch,
        'if-none-match': options.ifNoneMatch,
        'idempotency-key': options.idempotencyKey,
        'postern-metadata': options.metadata,
        'postern-expires-at': isoDate(options.expiresAt),
        'postern-keep-versions': options.keepVersions,
        'postern-require-match': options.requireMatch,
      });
      const body = isText ? new TextEncoder().encode(payload) : payload;
      const answer = await json({ method: 'PUT', path: pathOf(key), body, headers, scopes: WRITE }, as);
      return shaped<WrittenRecord>('crypto-store', answer, 'key', 'id', 'version', 'etag');
    },
    async get(key, as, { version } = {}) {
      const query = { version };
      return recordValue(key, await call({ method: 'GET', path: pathOf(key), query, scopes: READ }, as));
    },
    async getIfChanged(key, etag, as) {
      const headers = { 'if-none-match': etag };
      const answer = await call({ method: 'GET', path: pathOf(key), headers, scopes: READ }, as);
      return answer.status === 304 ? null : recordValue(key, answer);
    },
    async delete(key, as, { version, ifMatch } = {}) {
      const headers = withHeaders({ 'if-match': ifMatch });
      await call({ method: 'DELETE', path: pathOf(key), query: { version }, headers, scopes: WRITE }, as);
    },
    undelete: (key, as, { versions, ...options } = {}) =>
      change(key, 'undelete', versions === undefined ? {} : { versions }, as, options),
    destroy: (key, what, as, options) => change(key, 'destroy', what, as, options),
  };
}
