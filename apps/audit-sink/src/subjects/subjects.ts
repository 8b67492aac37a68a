import { createSecretKey, randomBytes, randomUUID, type KeyObject } from 'node:crypto';
import { EnvelopeRefused } from '@postern/envelope';
import { sealerFor, type BranchKeys } from '@postern/branch-keys';
import type { Query } from '@postern/postgres';
import type { Now } from '@postern/runtime';

/** A person as the events of one tenant name it (R3). */
export type Person = { issuer: string; sub: string };

/** Whom an event is about, and the key that its content is sealed under. */
export type Subject = { id: string; key: KeyObject };

export type Subjects = {
  /** The subject of a tenant's event: its person, or the tenant itself where there is none. Made at its first event. */
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
 * tenant's branch key erases all of that tenant.
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
  const remember = <T>(map: Map<string, T>, name: string, value: T) => {
    if (map.size >= REMEMBERED) map.clear();
    map.set(name, value);
  };

  const make = async (tenant: string | null, name: string): Promise<Subject> => {
    const mac = await macOf(tenant, name);
    const read = () =>
      query<{ id: string; tenant: string | null; sealed: Buffer }>(
        'select id, tenant, sealed from log_subjects where mac = $1',
        [mac],
      );
    let [row] = await read();
    if (!row) {
      const id = randomUUID();
      const key = randomBytes(KEY_BYTES);
      const sealed = await sealerOf(tenant).seal(key, { 'subject-id': id });
      key.fill(0);
      await query('insert into log_subjects (id, tenant, mac, sealed) values ($1, $2, $3, $4) on conflict do nothing', [
        id,
        tenant,
        mac,
        sealed,
      ]);
      [row] = await read();
    }
    if (!row) throw new Error('a subject was erased while it was made');
    return { id: row.id, key: await open(row) };
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
      const [row] = await query<{ id: string }>('select id from log_subjects where mac = $1', [mac]);
      return row?.id ?? null;
    },
    async keysOf(ids) {
      const at = now().getTime();
      const wanted = [...new Set(ids)].filter((id) => !((byId.get(id)?.until ?? 0) > at));
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
          if (key) remember(byId, row.id, { key, until: at + REMEMBERED_MS });
        }
      }
      return new Map(ids.flatMap((id) => (byId.has(id) ? [[id, byId.get(id)!.key] as const] : [])));
    },
    forget(ids) {
      const gone = new Set(ids);
      for (const [name, { subject }] of byName) if (gone.has(subject.id)) byName.delete(name);
      for (const id of gone) byId.delete(id);
    },
  };
}
