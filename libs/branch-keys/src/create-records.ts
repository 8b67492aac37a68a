import { randomUUID } from 'node:crypto';
import { ACTIVE, BEACON, createTimeOf, versionType, wrapContext, type BranchKeyRecord, type Owner } from './record.ts';
import { type RootKey } from './root-key.ts';

type Made = { rootKey: RootKey; branchKeyId: string; owner: Owner; now: Date };

/** The records of a new branch key: its first version, the active record, the beacon key. */
export async function createKeyRecords(made: Made): Promise<BranchKeyRecord[]> {
  const [versioned, beacon] = await Promise.all([createVersionRecords(made), createRecord(made, BEACON)]);
  return [versioned.version, versioned.active, beacon];
}

/**
 * The two records of one version (framework/branch-key-store.md, Wrapped Branch Key Creation): the same key wrapped
 * twice, to be found by its version, and as the active one.
 */
export async function createVersionRecords(made: Made): Promise<{ version: BranchKeyRecord; active: BranchKeyRecord }> {
  const type = versionType(randomUUID());
  const version = await createRecord(made, type);
  const active = { ...version, type: ACTIVE, version: type };
  const enc = await made.rootKey.rewrap(
    version.enc,
    { arn: version.kmsArn, context: wrapContext(version) },
    { arn: active.kmsArn, context: wrapContext(active) },
  );
  return { version, active: { ...active, enc } };
}

async function createRecord({ rootKey, branchKeyId, owner, now }: Made, type: string): Promise<BranchKeyRecord> {
  const record = { branchKeyId, type, version: null, kmsArn: rootKey.arn, createTime: createTimeOf(now), owner };
  return { ...record, enc: await rootKey.generate(wrapContext(record)) };
}
