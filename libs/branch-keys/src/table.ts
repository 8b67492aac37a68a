import { keyIsEnabled, keyOpens, keySeals } from './key-states.ts';
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

/** What a record may be used for now: `key-states.ts`. A beacon key has no versions: it follows its branch key. */
const USABLE = `case k.type
  when 'beacon:ACTIVE' then ${keyIsEnabled('k.branch_key_id')}
  when 'branch:ACTIVE' then ${keySeals('substr(k.version, 16)::uuid')}
  else ${keyOpens('substr(k.type, 16)::uuid')} end`;

/**
 * The record of that id and type (`branch:ACTIVE`, `branch:version:<uuid>`, `beacon:ACTIVE`), or null where there is
 * none, or where its state forbids its use.
 */
export async function selectRecord(query: Query, branchKeyId: string, type: string): Promise<BranchKeyRecord | null> {
  const [row] = await query<Row>(
    `select k.* from branch_keys k where k.branch_key_id = $1 and k.type = $2 and ${USABLE}`,
    [branchKeyId, type],
  );
  return row === undefined ? null : recordOf(row);
}

function recordOf(row: Row): BranchKeyRecord {
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

/** All records of a branch key, whatever their state. */
export async function selectRecords(query: Query, branchKeyId: string): Promise<BranchKeyRecord[]> {
  const rows = await query<Row>('select * from branch_keys where branch_key_id = $1 order by type', [branchKeyId]);
  return rows.map(recordOf);
}

/** Replaces how a record is wrapped, where it still is as it was read. */
export async function updateWrapping(query: Query, was: BranchKeyRecord, moved: BranchKeyRecord): Promise<boolean> {
  const updated = await query(
    `update branch_keys set enc = $4, kms_arn = $5
      where branch_key_id = $1 and type = $2 and enc = $3 and kms_arn = $6 returning 1`,
    [was.branchKeyId, was.type, Buffer.from(was.enc), Buffer.from(moved.enc), moved.kmsArn, was.kmsArn],
  );
  return updated.length === 1;
}

/** Names of the tenants' enabled keys, the most lately rotated first: for a warm start. */
export async function selectNewest(query: Query, limit: number): Promise<{ tenant: string; purpose: string }[]> {
  return query(
    `select o.tenant, o.purpose from branch_key_owners o
       join branch_key_versions v on v.branch_key_id = o.branch_key_id and v.state = 'active'
      where o.state = 'enabled' order by v.created_at desc limit $1`,
    [limit],
  );
}

/** What of a branch key may be used now: the version that seals, those that do not open. */
export async function selectUsable(
  query: Query,
  branchKeyId: string,
): Promise<{ enabled: boolean; seals: string | null; refused: string[] }> {
  const rows = await query<{ version: string; seals: boolean; opens: boolean; enabled: boolean }>(
    `select v.version, ${keySeals('v.version')} as seals, ${keyOpens('v.version')} as opens,
            ${keyIsEnabled('v.branch_key_id')} as enabled
       from branch_key_versions v where v.branch_key_id = $1`,
    [branchKeyId],
  );
  return {
    enabled: rows.some(({ enabled }) => enabled),
    seals: rows.find(({ seals }) => seals)?.version ?? null,
    refused: rows.filter(({ opens }) => !opens).map(({ version }) => version),
  };
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
          ),
          version as (
            insert into branch_key_versions (version, branch_key_id, number, state, created_at, changed_at)
            select substr(type, 16)::uuid, branch_key_id, 1, 'active', create_time::timestamptz, create_time::timestamptz
              from record join owner using (branch_key_id)
             where type like 'branch:version:%'
          )
     insert into branch_keys (${COLUMNS})
     select record.* from record join owner using (branch_key_id)
     returning 1`,
    arraysOf(records),
  );
  return stored.length > 0;
}

/**
 * Stores a new version and makes it the active one, in one statement; the one before goes on opening.
 * @returns the new version's number; null when the active version was no longer `replaced` (another replica rotated
 *   meanwhile) or the branch key is no longer enabled.
 */
export async function insertVersion(
  query: Query,
  { version, active, replaced }: { version: BranchKeyRecord; active: BranchKeyRecord; replaced: string },
): Promise<number | null> {
  const [stored] = await query<{ number: number }>(
    `with record as (select * from ${UNNEST} as r (${COLUMNS})),
          activated as (
            update branch_keys set version = record.version, enc = record.enc, kms_arn = record.kms_arn,
                   create_time = record.create_time
              from record
             where branch_keys.branch_key_id = record.branch_key_id and record.type = 'branch:ACTIVE'
               and branch_keys.type = record.type and branch_keys.version = $11
               and ${keyIsEnabled('branch_keys.branch_key_id')}
            returning branch_keys.branch_key_id
          ),
          retired as (
            update branch_key_versions v set state = 'decrypt-only', changed_at = record.create_time::timestamptz
              from activated join record using (branch_key_id)
             where v.branch_key_id = activated.branch_key_id and v.state = 'active' and record.type = 'branch:ACTIVE'
            returning v.branch_key_id, v.number
          ),
          stored as (
            insert into branch_keys (${COLUMNS})
            select record.* from record join activated using (branch_key_id) where record.type <> 'branch:ACTIVE'
            returning branch_key_id, type, create_time
          )
     insert into branch_key_versions (version, branch_key_id, number, state, created_at, changed_at)
     select substr(stored.type, 16)::uuid, stored.branch_key_id, retired.number + 1, 'active',
            stored.create_time::timestamptz, stored.create_time::timestamptz
       from stored join retired using (branch_key_id)
     returning number`,
    [...arraysOf([version, active]), replaced],
  );
  return stored?.number ?? null;
}
