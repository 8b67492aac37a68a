import { type EncryptionContext } from '@postern/envelope';

// The item of the specification's key store (framework/branch-key-store.md, Record Format), as a row.

/** The name that stands as `tablename` in every wrap context: give it to the stock SDK as its logical key store name. */
export const LOGICAL_KEY_STORE_NAME = 'postern-branch-keys';

export const ACTIVE = 'branch:ACTIVE';
export const BEACON = 'beacon:ACTIVE';
export const versionType = (version: string): string => `branch:version:${version}`;

/** Whose key it is; authenticated by the root key with every record (R6, R30). */
export type Owner = { tenant: string; service: string; purpose: string; environment: string };

export type BranchKeyRecord = {
  branchKeyId: string;
  type: string;
  /** `branch:version:<uuid>`; only on the active record. */
  version: string | null;
  /** The wrapped key. */
  enc: Uint8Array;
  kmsArn: string;
  /** ISO 8601 in UTC with microseconds, kept as text: it is authenticated letter by letter. */
  createTime: string;
  owner: Owner;
};

const OWN_PREFIX = 'aws-crypto-ec:';

/** The context a record's key is wrapped with (framework/branch-key-store.md, Encryption Context). */
export function wrapContext(record: Omit<BranchKeyRecord, 'enc'>): EncryptionContext {
  return {
    'branch-key-id': record.branchKeyId,
    type: record.type,
    'create-time': record.createTime,
    tablename: LOGICAL_KEY_STORE_NAME,
    'kms-arn': record.kmsArn,
    'hierarchy-version': '1',
    ...(record.version === null ? {} : { version: record.version }),
    ...Object.fromEntries(Object.entries(record.owner).map(([key, value]) => [`${OWN_PREFIX}${key}`, value])),
  };
}

/** The UUID of the version that a record holds or, on the active record, points at. */
export function versionOf({ type, version }: Pick<BranchKeyRecord, 'type' | 'version'>): string {
  return (version ?? type).slice(versionType('').length);
}

/** Microseconds, as the specification asks; the clock has milliseconds. */
export const createTimeOf = (now: Date): string => now.toISOString().replace('Z', '000Z');
