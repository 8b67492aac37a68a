import { createSecretKey, randomBytes, randomUUID, type KeyObject } from 'node:crypto';
import { EnvelopeRefused } from '@postern/envelope';
import { sealerFor, type BranchKeys } from '@postern/branch-keys';
import type { Query } from '@postern/postgres';
import type { Now } from '@postern/runtime';

/** A person as the events of one tenant name it (R3). */
export type Person = { issuer: string; sub: string };

/** Whom an event is about, and the key that its content is sealed under. */
export type Subject = { id: string; key: KeyObject };

/** The key of a subject cannot be opened: its row was altered, or the branch key that it is sealed under is denied. */
export class SubjectUnreadable extends Error {
  override readonly name = 'SubjectUnreadable';
  readonly id: string;
  constructor(id: string, cause: unknown) {
    super(`the key of subject ${id} cannot be opened`, { cause });
    this.id = id;
  }
}

export type Subjects = {
  /**
   * The subject of a tenant's event: its person, or the tenant itself where there is none. Made at its first event.
   *
   * @throws SubjectUnreadable
   */
  of(tenant: string | null, person: Person | undefined): Promise<Subject>;
  /** The id of a person's row, or null where there is none, or none any more. */
  find(tenant: string, person: Person): Promise<string | null>;
  /** The keys of these subjects; one that was erased has none. */
  keysOf(ids: readonly string[]): Promise<Map<string, KeyObject>>;
  /** Drops what is remembered of a subject, whose row may be gone. */
  forget(ids: readonly string[]): void;
};

/** The service's own secrets, and events that belong to no tenant. */
export const NO_TENANT = 'postern';
const PURPOSE = 'audit-events';
const KEY_BYTES = 32;
const REMEMBERED = 10_000;
const REMEMBERED_MS = 300_000;

/**
 * Keys of subjects, each sealed under its tenant's branch key: erasing a subject is deleting one row (R28), destroying a
 * tenant's branch key erases all of that tenant. 10,000 are remembered at most, for five minutes at most.
 */
export function createSubjects(query: Query, keys: BranchKeys, now: Now): Subjects {
  const byName = new Map<string, { subject: Subject; until: number }>();
  const byId = new Map<string, { key: KeyObject; until: number }>();
  const making = new Map<string, Promise<Subject>>();
  const sealerOf = (tenant: string | null) => sealerFor(keys, { tenant: tenant ?? NO_TENANT, purpose: PURPOSE });
  const nameOf = (tenant: string | null, person: Person | undefined) =>
    JSON.stringify(person ? [tenant, person.issuer, person.sub] : [tenant]);
  const macOf = (tenant: string | null, name: string) => sealerOf(tenant).mac('audit-subject', Buffer.from(name));

  const open = async (row: { id: string; tenant: string | null; sealed: Buffer }): Promise<KeyObject> => {
    const bytes = await sealerOf(row.tenant).open(row.sealed, { 'subject-id': row.id });
    const key = createSecretKey(bytes);
    bytes.fill(0);
    return key;
  };
  const openReadable = async (row: { id: string; tenant: string | null; sealed: Buffer }): Promise<KeyObject> => {
    try {
      return await open(row);
    } catch (error) {
      throw error instanceof EnvelopeRefused ? new SubjectUnreadable(row.id, error) : error;
    }
  };
  const remember = <T>(map: Map<string, T>, name: string, value: T) => {
    if (map.size >= REMEMBERED) map.clear();
    map.set(name, value);
  };

  const rowsOf = (macs: readonly Buffer[]) =>
    query<{ id: string; tenant: string | null; mac: Buffer; sealed: Buffer }>(
      'select id, tenant, mac, sealed from log_subjects where mac = any($1::bytea[])',
      [macs],
    );
  const insert = async (unknown: readonly { tenant: string | null; mac: Buffer }[]): Promise<void> => {
    const made = await Promise.all(
      unknown.map(async ({ tenant, mac }) => {
        const id = randomUUID();
        const key = randomBytes(KEY_BYTES);
        const sealed = await sealerOf(tenant).seal(key, { 'subject-id': id });
        key.fill(0);
        return { id, tenant, mac, sealed };
      }),
    );
    // Replicas that make the same meet them in one order, so that none waits for another that waits for it.
    await query(
      `insert into log_subjects (id, tenant, mac, sealed)
       select * from unnest($1::uuid[], $2::text[], $3::bytea[], $4::bytea[]) as s (id, tenant, mac, sealed) order by mac
       on conflict do nothing`,
      [
        made.map(({ id }) => id),
        made.map(({ tenant }) => tenant),
        made.map(({ mac }) => mac),
        made.map(({ sealed }) => sealed),
      ],
    );
  };

  /** Those of a tenant, found or made by three statements however many they are. */
  const makeAll = async (tenant: string | null, names: readonly string[]): Promise<PromiseSettledResult<Subject>[]> => {
    const macs = await Promise.all(names.map((name) => macOf(tenant, name)));
    const found = new Map<string, { id: string; tenant: string | null; sealed: Buffer }>();
    const look = async (wanted: readonly Buffer[]) => {
      for (const row of await rowsOf(wanted)) found.set(row.mac.toString('hex'), row);
    };
    await look(macs);
    const unknown = macs.filter((mac) => !found.has(mac.toString('hex')));
    if (unknown.length > 0) {
      await insert(unknown.map((mac) => ({ tenant, mac })));
      await look(unknown);
    }
    return Promise.allSettled(
      macs.map(async (mac) => {
        const row = found.get(mac.toString('hex'));
        if (!row) throw new Error('a subject was erased while it was made');
        return { id: row.id, key: await openReadable(row) };
      }),
    );
  };

  type Wanted = { name: string; resolve(subject: Subject): void; reject(error: unknown): void };
  let wanted = new Map<string | null, Wanted[]>();
  const makeWanted = () => {
    const taken = wanted;
    wanted = new Map();
    // One tenant's key may be gone: the others' subjects are made all the same.
    for (const [tenant, ones] of taken) {
      makeAll(
        tenant,
        ones.map(({ name }) => name),
      ).then(
        (made) =>
          ones.forEach(({ resolve, reject }, i) => {
            const one = made[i]!;
            if (one.status === 'fulfilled') resolve(one.value);
            else reject(one.reason);
          }),
        (error: unknown) => ones.forEach(({ reject }) => reject(error)),
      );
    }
  };
  /** What a batch asks for in one turn of the event loop is made together. */
  const make = (tenant: string | null, name: string): Promise<Subject> => {
    const { promise, resolve, reject } = Promise.withResolvers<Subject>();
    if (wanted.size === 0) setImmediate(makeWanted);
    const ones = wanted.get(tenant) ?? [];
    ones.push({ name, resolve, reject });
    wanted.set(tenant, ones);
    return promise;
  };

  return {
    async of(tenant, person) {
      const name = nameOf(tenant, person);
      const at = now().getTime();
      const known = byName.get(name);
      if (known && known.until > at) return known.subject;
      const under = making.get(name);
      if (under) return under;
      const made = make(tenant, name).finally(() => making.delete(name));
      making.set(name, made);
      const subject = await made;
      remember(byName, name, { subject, until: at + REMEMBERED_MS });
      return subject;
    },
    async find(tenant, person) {
      const mac = await macOf(tenant, nameOf(tenant, person));
      // Where its key was replaced, the newest.
      const [row] = await query<{ id: string }>(
        'select id from log_subjects where mac = $1 or replaced_mac = $1 order by mac is null, created_at desc limit 1',
        [mac],
      );
      return row?.id ?? null;
    },
    async keysOf(ids) {
      const at = now().getTime();
      // Apart from what is remembered: that may be emptied before all are there.
      const found = new Map<string, KeyObject>();
      const wanted = [...new Set(ids)].filter((id) => {
        const held = byId.get(id);
        if (held && held.until > at) found.set(id, held.key);
        // One whose row is gone, or whose key opens no more, must not be found by what is too old.
        else byId.delete(id);
        return !found.has(id);
      });
      if (wanted.length > 0) {
        const rows = await query<{ id: string; tenant: string | null; sealed: Buffer }>(
          'select id, tenant, sealed from log_subjects where id = any($1::uuid[])',
          [wanted],
        );
        for (const row of rows) {
          // One key that cannot be opened hides one subject's events, not a whole page.
          const key = await open(row).catch((error: unknown) => {
            if (error instanceof EnvelopeRefused) return null;
            throw error;
          });
          if (!key) continue;
          found.set(row.id, key);
          remember(byId, row.id, { key, until: at + REMEMBERED_MS });
        }
      }
      return found;
    },
    forget(ids) {
      const gone = new Set(ids);
      for (const [name, { subject }] of byName) if (gone.has(subject.id)) byName.delete(name);
      for (const id of gone) byId.delete(id);
    },
  };
}
