import { type CallService, shaped } from './call-service.ts';
import { type CallAs } from './options.ts';

export type StoredRecord = { status: string; key: string; version?: number };
export type RetrievedRecord = { key: string; payload: string; source: 'cache' | 'db' };

export type Records = {
  /** Stores a record under its key, over what was there. Scope `records:write`. */
  store(record: { key: string; payload: string }, as: CallAs): Promise<StoredRecord>;
  /** One record, decrypted. Scope `records:read`. @throws PosternError `record_not_found`, ... */
  retrieve(key: string, as: CallAs): Promise<RetrievedRecord>;
};

export const createRecords = (call: CallService): Records => ({
  async store(record, as) {
    const answer = await call({ method: 'POST', path: '/store', body: record, scopes: ['records:write'] }, as);
    return shaped<StoredRecord>('crypto-store', answer, 'key');
  },
  async retrieve(key, as) {
    const path = `/retrieve/${encodeURIComponent(key)}`;
    const answer = await call({ method: 'GET', path, scopes: ['records:read'] }, as);
    return shaped<RetrievedRecord>('crypto-store', answer, 'key', 'payload', 'source');
  },
});
