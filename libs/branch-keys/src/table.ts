import { type BranchKeyRecord } from './record.ts';

/** One SQL statement with `$1` placeholders; what `@postern/postgres` calls Query. */
export type Query = <Row = unknown>(sql: string, values?: readonly unknown[]) => Promise<Row[]>;

type Row = {
  branch_key_id: string;
  type: string;
  version: string | null;
  enc: Buffer;
  kms_arn: string;
  create_time: string;
  tenant: string;
  service: string;
  purpose: string;
  environment: string;
};

/** The record of that id and type (`branch:ACTIVE`, `branch:version:<uuid>`, `beacon:ACTIVE`), or null. */
export async function selectRecord(query: Query, branchKeyId: string, type: string): Promise<BranchKeyRecord | null> {
  const [row] = await query<Row>('select * from branch_keys where branch_key_id = $1 and type = $2', [
    branchKeyId,
    type,
  ]);
  if (row === undefined) return null;
  const { tenant, service, purpose, environment } = row;
  return {
    branchKeyId: row.branch_key_id,
    type: row.type,
    version: row.version,
    enc: row.enc,
    kmsArn: row.kms_arn,
    createTime: row.create_time,
    owner: { tenant, service, purpose, environment },
  };
}

export async function selectId(query: Query, tenant: string, purpose: string): Promise<string | null> {
  const [row] = await query<{ branch_key_id: string }>(
    'select branch_key_id from branch_key_owners where tenant = $1 and purpose = $2',
    [tenant, purpose],
  );
  return row?.branch_key_id ?? null;
}

const COLUMNS = 'branch_key_id, type, version, enc, kms_arn, create_time, tenant, service, purpose, environment';

const arraysOf = (records: readonly BranchKeyRecord[]): unknown[] => [
  records.map(({ branchKeyId }) => branchKeyId),
  records.map(({ type }) => type),
  records.map(({ version }) => version),
  records.map(({ enc }) => Buffer.from(enc)),
  records.map(({ kmsArn }) => kmsArn),
  records.map(({ createTime }) => createTime),
  records.map(({ owner }) => owner.tenant),
  records.map(({ owner }) => owner.service),
  records.map(({ owner }) => owner.purpose),
  records.map(({ owner }) => owner.environment),
];
const UNNEST =
  'unnest($1::text[], $2::text[], $3::text[], $4::bytea[], $5::text[], $6::text[], $7::text[], $8::text[], $9::text[], $10::text[])';

/**
 * Stores a tenant's first records for a purpose in one statement, unless another replica was first: then nothing.
 * @returns whether they were stored.
 */
export async function insertKey(query: Query, records: readonly BranchKeyRecord[]): Promise<boolean> {
  const stored = await query(
    `with record as (select * from ${UNNEST} as r (${COLUMNS})),
          owner as (
            insert into branch_key_owners (tenant, purpose, branch_key_id)
            select distinct tenant, purpose, branch_key_id from record
            on conflict do nothing
            returning branch_key_id
          )
     insert into branch_keys (${COLUMNS})
     select record.* from record join owner using (branch_key_id)
     returning 1`,
    arraysOf(records),
  );
  return stored.length > 0;
}

/**
 * Stores a new version and makes it the active one, in one statement.
 * @returns false when the active version was no longer `replaced`: another replica rotated meanwhile.
 */
export async function insertVersion(
  query: Query,
  version: BranchKeyRecord,
  active: BranchKeyRecord,
  replaced: string | null,
): Promise<boolean> {
  const stored = await query(
    `with record as (select * from ${UNNEST} as r (${COLUMNS})),
          activated as (
            update branch_keys set version = record.version, enc = record.enc, kms_arn = record.kms_arn,
                   create_time = record.create_time
              from record
             where branch_keys.branch_key_id = record.branch_key_id and record.type = 'branch:ACTIVE'
               and branch_keys.type = record.type and branch_keys.version = $11
            returning branch_keys.branch_key_id
          )
     insert into branch_keys (${COLUMNS})
     select record.* from record join activated using (branch_key_id) where record.type <> 'branch:ACTIVE'
     returning 1`,
    [...arraysOf([version, active]), replaced],
  );
  return stored.length > 0;
}
