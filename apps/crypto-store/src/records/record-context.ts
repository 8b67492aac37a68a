import { type Sealer } from '@postern/branch-keys';
import { type EncryptionContext } from '@postern/envelope';
import { type RecordAddress } from './record-address.ts';

/** The branch key purpose of records (R30). */
export const RECORDS = 'records';

/** What a sealed version of a record is bound to, beside its tenant and purpose. */
export type RecordPlace = { id: string; version: number; address: Buffer };

/**
 * The address as 32 bytes that only we can compute, and that show nothing. It finds the record, names the cache entry, and
 * stands in the message's context: a row or a cache entry put under another key does not open.
 */
export const addressOf = (sealer: Sealer, { namespace, key }: Omit<RecordAddress, 'tenant'>): Promise<Buffer> =>
  sealer.keptMac('record-address', JSON.stringify([namespace, key]));

/** The same for a prefix of keys, under another name: it says nothing about a record whose whole key that is. */
export const prefixOf = (sealer: Sealer, namespace: string, prefix: string): Promise<Buffer> =>
  sealer.mac('record-prefix', Buffer.from(JSON.stringify([namespace, prefix])));

/** The context of a version's message, in clear: a random id, a counter, a MAC (R29). */
export const contextOf = ({ id, version, address }: RecordPlace): EncryptionContext => ({
  record: id,
  version: String(version),
  address: address.toString('base64url'),
});

/** The context of a record's sealed key. */
export const keyContextOf = ({ id, address }: Omit<RecordPlace, 'version'>): EncryptionContext => ({
  record: id,
  part: 'key',
  address: address.toString('base64url'),
});
