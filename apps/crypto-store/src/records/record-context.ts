import { type Sealer } from '@postern/branch-keys';
import { type EncryptionContext } from '@postern/envelope';
import { type RecordAddress } from './record-address.ts';

/** The branch key purpose of records (R30). */
export const RECORDS = 'records';

/** What a sealed record is bound to, beside its tenant and purpose. */
export type RecordPlace = { id: string; version: number; addressMac: string };

/**
 * The address as 32 bytes in base64url that only we can compute, and that show nothing. It names the cache entry, and
 * stands in the message's context: a row or a cache entry put under another key does not open.
 */
export async function addressMacOf(sealer: Sealer, { namespace, key }: RecordAddress): Promise<string> {
  return (await sealer.mac('record-address', Buffer.from(JSON.stringify([namespace, key])))).toString('base64url');
}

/** The context of a record's message, in clear: a random id, a counter, a MAC (R29). */
export const contextOf = ({ id, version, addressMac }: RecordPlace): EncryptionContext => ({
  record: id,
  version: String(version),
  address: addressMac,
});
