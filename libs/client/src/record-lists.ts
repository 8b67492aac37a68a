import { type CallService, shaped } from './call-service.ts';
import { type CallAs } from './options.ts';
import { type RecordType } from './record-value.ts';

export type ListQuery = {
  /** Cheapest where it ends in `/`. */
  prefix?: string;
  cursor?: string;
  /** At most 200; 100 unless said. */
  limit?: number;
  /** Also what is deleted or expired. */
  deleted?: boolean;
};
export type ListedRecord = {
  key: string;
  id: string;
  version: number;
  live: boolean;
  created_at: string;
  updated_at: string;
};
/** A page may be empty and still have a next one. */
export type RecordPage = { records: ListedRecord[]; unreadable: number; next: string | null };

export type RecordVersions = {
  key: string;
  id: string;
  /** The newest. */
  version: number;
  keep_versions: number;
  require_match: boolean;
  versions: {
    version: number;
    etag: string;
    state: 'live' | 'expired' | 'deleted' | 'destroyed';
    bytes: number;
    created_at: string;
    expires_at: string | null;
  }[];
};

export type BatchPayload = { text: string } | { base64: string };
export type BatchOperation =
  | { op: 'get'; key: string; version?: number }
  | {
      op: 'put';
      key: string;
      payload: BatchPayload;
      type?: RecordType;
      metadata?: Record<string, string>;
      /** RFC 3339. */
      expires_at?: string;
      keep_versions?: number;
      require_match?: boolean;
      if_match?: string;
      if_none_match?: string;
    }
  | { op: 'delete'; key: string; version?: number; if_match?: string };
/** `status` and `code` are those that the single call would have had. */
export type BatchResult = {
  key: string;
  status: number;
  code?: string;
  id?: string;
  version?: number;
  etag?: string;
  type?: RecordType;
  payload?: BatchPayload;
  metadata?: Record<string, string>;
  expires_at?: string;
  source?: 'cache' | 'db';
};

export type RecordHash = {
  id: string;
  namespace: string;
  version: number;
  newest: boolean;
  state: RecordVersions['versions'][number]['state'];
  /** SHA-256 of what is stored, hex; null once destroyed. */
  ciphertext_hash: string | null;
};
export type HashPage = { hashes: RecordHash[]; next: string | null };

export type RecordLists = {
  /** A page of the caller's records. Scope `records:read`. */
  list(query: ListQuery, as: CallAs): Promise<RecordPage>;
  /** All of them, page after page. */
  listAll(query: Omit<ListQuery, 'cursor'>, as: CallAs): AsyncGenerator<ListedRecord>;
  /** Every version that is kept of a record, newest first. Scope `records:read`. */
  versions(key: string, as: CallAs): Promise<RecordVersions>;
  /** At most 100 operations in their order, each with its own result. Scopes `records:read` and, for writes, `records:write`. */
  batch(
    operations: readonly BatchOperation[],
    as: CallAs,
    options?: { idempotencyKey?: string },
  ): Promise<BatchResult[]>;
  /** Versions and hashes of all records of the tenant, to hold against the log. Scope `records:audit`. */
  hashes(query: { cursor?: string; limit?: number }, as: CallAs): Promise<HashPage>;
};

const READ = ['records:read'] as const;

export function createRecordLists(call: CallService): RecordLists {
  const list: RecordLists['list'] = async (query, as) => {
    const answer = await call({ method: 'GET', path: '/v1/records', query, scopes: READ }, as);
    return shaped<RecordPage>('crypto-store', answer, 'records', 'next');
  };
  return {
    list,
    async *listAll(query, as) {
      for (let cursor: string | undefined; ;) {
        const page = await list({ ...query, ...(cursor === undefined ? {} : { cursor }) }, as);
        yield* page.records;
        if (page.next === null) return;
        cursor = page.next;
      }
    },
    async versions(key, as) {
      const path = `/v1/records/${encodeURIComponent(key)}/versions`;
      return shaped<RecordVersions>('crypto-store', await call({ method: 'GET', path, scopes: READ }, as), 'versions');
    },
    async batch(operations, as, { idempotencyKey } = {}) {
      const writes = operations.some(({ op }) => op !== 'get');
      const scopes = writes ? [...READ, 'records:write'] : READ;
      const headers = idempotencyKey === undefined ? {} : { 'idempotency-key': idempotencyKey };
      const wanted = { method: 'POST', path: '/v1/record-batches', body: { operations }, headers, scopes } as const;
      return shaped<{ results: BatchResult[] }>('crypto-store', await call(wanted, as), 'results').results;
    },
    async hashes(query, as) {
      const wanted = { method: 'GET', path: '/v1/record-hashes', query, scopes: ['records:audit'] } as const;
      return shaped<HashPage>('crypto-store', await call(wanted, as), 'hashes', 'next');
    },
  };
}
