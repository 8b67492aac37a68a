import { keySeals } from '@postern/branch-keys';
import { type Idempotency } from '@postern/http';
import { type ChangeStatement } from '@postern/outbox';
import { type RecordAddress } from './record-address.ts';

/** A record's next version, sealed. */
export type NextVersion = {
  id: string;
  /** 1 for a record that is new. */
  version: number;
  /** Whether the version before it could be read when its conditions were looked at. */
  live: boolean;
  sealed: Buffer;
  ciphertextHash: string;
  /** Of the branch key that it is sealed under, the sealed key too. */
  keyVersion: string;
  bytes: number;
  keepVersions: number;
  matchRequired: boolean;
  expiresAt: Date | null;
  writtenAt: Date;
  /** What a record that is new has beside its first version. */
  created: {
    at: RecordAddress;
    address: Buffer;
    sealedKey: Buffer;
    prefixes: readonly Buffer[];
    /** How many records its tenant may have; null: there is no quota. */
    most: number | null;
  } | null;
  idempotency: Idempotency | null;
};

/**
 * Writes versions of many records in the statement that records them. A version is written exactly while its record is what it
 * was when its conditions were looked at, and its key is the one to seal under: a write cannot leave anything under a version
 * that was replaced before (R31). A record that somebody else holds at this instant is not waited for: its turn is another.
 */
export const recordVersions: ChangeStatement<NextVersion> = {
  bytesOf: ({ sealed, created }) => sealed.length + (created?.sealedKey.length ?? 0),
  tablesFor(versions) {
    const blob = createBlob();
    const wanted = wantedValues(versions, blob);
    const creates = versions.some(({ created }) => created !== null) ? createdValues(versions, blob) : [];
    const limited = versions.some(({ created }) => created !== null && created.most !== null);
    const repeatable = versions.some(({ idempotency }) => idempotency !== null) ? repeatableValues(versions) : [];
    return {
      name: `records${creates.length > 0 ? '-created' : ''}${limited ? '-limited' : ''}${repeatable.length > 0 ? '-repeatable' : ''}`,
      tables: tables(creates.length > 0, limited, repeatable.length > 0),
      values: [blob.bytes(), ...wanted, ...creates, ...repeatable],
    };
  },
};

/** All bytes of a group as one value: Postgres takes one as it is, and an array of them only as text. */
function createBlob() {
  const parts: Buffer[] = [];
  let end = 0;
  return {
    /** Where it begins, from 1. */
    add(part: Buffer): number {
      parts.push(part);
      end += part.length;
      return end - part.length + 1;
    },
    bytes: () => Buffer.concat(parts, end),
  };
}
type Blob = ReturnType<typeof createBlob>;

const WANTED = `select * from unnest($5::int[], $6::uuid[], $7::bigint[], $8::boolean[], $9::int[], $10::int[], $11::uuid[],
  $12::int[], $13::int[], $14::boolean[], $15::timestamptz[], $16::timestamptz[])
  as w (place, id, version, live, at, length, key_version, bytes, keep_versions, match_required, expires_at, written_at)`;

const wantedValues = (versions: readonly NextVersion[], blob: Blob): unknown[] => [
  versions.map((_, i) => i + 1),
  versions.map(({ id }) => id),
  versions.map(({ version }) => version),
  versions.map(({ live }) => live),
  versions.map(({ sealed }) => blob.add(sealed)),
  versions.map(({ sealed }) => sealed.length),
  versions.map(({ keyVersion }) => keyVersion),
  versions.map(({ bytes }) => bytes),
  versions.map(({ keepVersions }) => keepVersions),
  versions.map(({ matchRequired }) => matchRequired),
  versions.map(({ expiresAt }) => expiresAt?.toISOString() ?? null),
  versions.map(({ writtenAt }) => writtenAt.toISOString()),
];

const CREATED = `unnest($17::int[], $18::text[], $19::text[], $20::int[], $21::int[], $22::int[], $23::bigint[])
  as n (place, tenant, namespace, address_at, key_at, key_length, most)`;
const PREFIXES = 'unnest($24::int[], $25::int[]) as p (place, at)';
const CREATED_VALUES = 9;

function createdValues(versions: readonly NextVersion[], blob: Blob): unknown[] {
  const all = versions.flatMap(({ created }, i) => (created === null ? [] : [{ ...created, place: i + 1 }]));
  const prefixes = all.flatMap(({ place, prefixes: of }) => of.map((prefix) => ({ place, at: blob.add(prefix) })));
  return [
    all.map(({ place }) => place),
    all.map(({ at }) => at.tenant),
    all.map(({ at }) => at.namespace),
    all.map(({ address }) => blob.add(address)),
    all.map(({ sealedKey }) => blob.add(sealedKey)),
    all.map(({ sealedKey }) => sealedKey.length),
    all.map(({ most }) => most),
    prefixes.map(({ place }) => place),
    prefixes.map(({ at }) => at),
  ];
}

function repeatableValues(versions: readonly NextVersion[]): unknown[] {
  const all = versions.flatMap(({ idempotency, live }, i) =>
    idempotency === null ? [] : [{ ...idempotency, created: !live, place: i + 1 }],
  );
  return [
    all.map(({ place }) => place),
    all.map(({ key }) => key),
    all.map(({ request }) => request),
    all.map(({ created }) => created),
  ];
}

/** The counts of tenants with a quota, held until the commit: what another replica makes meanwhile waits, and is counted. */
const QUOTA = `, quota as (
    select c.tenant, c.records from record_counts c
     where c.tenant in (select n.tenant from ${CREATED} where n.most is not null) order by c.tenant for update
  )`;
const WITHIN_QUOTA = `and (n.most is null or (select q.records from quota q where q.tenant = n.tenant) + n.nth <= n.most)`;
const NUMBERED = `(select *, row_number() over (partition by n.tenant order by n.place) as nth from ${CREATED}) n`;

// Writers of several replicas meet records in one order, so that none waits for another that waits for it.
const created = (limited: boolean) => `${limited ? QUOTA : ''}, created as (
    insert into records (id, tenant, namespace, address, sealed_key, version, live_until, keep_versions, match_required,
                         created_at, updated_at)
    select w.id, n.tenant, n.namespace, substr($4::bytea, n.address_at, 32), substr($4, n.key_at, n.key_length), 1,
           coalesce(w.expires_at, 'infinity'), w.keep_versions, w.match_required, w.written_at, w.written_at
      from ${limited ? NUMBERED : CREATED} join wanted w using (place)
     where w.key_version in (select version from sealing) ${limited ? WITHIN_QUOTA : ''}
     order by n.tenant, 4
    on conflict (tenant, address) do nothing returning id, tenant
  ), prefixed as (
    insert into record_prefixes (tenant, prefix, record_id)
    select c.tenant, substr($4, p.at, 32), c.id from created c join wanted w using (id) join ${PREFIXES} using (place)
  )`;

/** A key that another write took meanwhile makes the statement fail: its halves then show whose it was. */
const remembered = (from: number) => `, remembered as (
    insert into record_writes (idempotency_key, request, record_id, version, created, written_at)
    select i.key, i.request, w.id, w.version, i.created, w.written_at
      from unnest($${from}::int[], $${from + 1}::text[], $${from + 2}::text[], $${from + 3}::boolean[])
             as i (place, key, request, created)
      join made using (place) join wanted w using (place)
  )`;

const FIRST_OF_CREATED = 17;

const tables = (creates: boolean, limited: boolean, repeatable: boolean): string => `wanted as (
    ${WANTED}
  ), sealing as (
    select version from (select distinct key_version as version from wanted) named where ${keySeals('named.version')}
  ), held as (
    select r.id, w.place from wanted w join records r on r.id = w.id
     where r.version = w.version - 1 and (r.live_until > now()) = w.live and w.key_version in (select version from sealing)
       for no key update of r skip locked
  ), updated as (
    update records r set version = w.version, live_until = coalesce(w.expires_at, 'infinity'), keep_versions = w.keep_versions,
           match_required = w.match_required, updated_at = w.written_at
      from held h join wanted w using (place) where r.id = h.id
    returning w.place
  )${creates ? created(limited) : ''}, made as (
    select place from updated${creates ? ' union all select place from created join wanted w using (id)' : ''}
  ), versioned as (
    insert into record_versions (record_id, version, sealed, bytes, created_at, expires_at)
    select w.id, w.version, substr($4::bytea, w.at, w.length), w.bytes, w.written_at, w.expires_at
      from made join wanted w using (place)
  ), pruned as (
    delete from record_versions v using updated join wanted w using (place)
     where v.record_id = w.id and v.version <= w.version - w.keep_versions
  )${repeatable ? remembered(FIRST_OF_CREATED + (creates ? CREATED_VALUES : 0)) : ''}, stale as (
    select array_agg(place order by place) as places from wanted where place not in (select place from made)
  )`;
