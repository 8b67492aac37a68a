import { createHash, createHmac, pbkdf2Sync, randomBytes } from 'node:crypto';

/** The statements of a connection, as `pg` sends them; one answer after the other. */
export type Ask = <T extends object>(statement: string, values?: readonly unknown[]) => Promise<T[]>;

/** A role that the server logs in as. Both act as the owner of the tables: what one made, the other may change. */
export type LoginRole = {
  name: string;
  /** Whether it may log in now. */
  open: boolean;
  /** When its password was set; undefined where nobody has noted it. */
  since: Date | undefined;
  sessions: number;
};

const NOTE = 'postern: password of ';
const ITERATIONS = 4_096;

/** PostgreSQL has no parameters in statements about roles. */
const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
const literal = (text: string): string => `'${text.replaceAll("'", "''")}'`;

export const roleNames = (owner: string): readonly [string, string] => [`${owner}_a`, `${owner}_b`];

/** The roles of these names that there are, by name. */
export async function readRoles(ask: Ask, names: readonly string[]): Promise<Map<string, LoginRole>> {
  const rows = await ask<{ name: string; open: boolean; note: string | null; sessions: number }>(
    `select rolname as name, rolcanlogin as open, shobj_description(oid, 'pg_authid') as note,
       (select count(*)::int from pg_stat_activity where usename = rolname) as sessions
     from pg_roles where rolname = any($1)`,
    [names],
  );
  return new Map(
    rows.map(({ name, open, note, sessions }) => {
      const since = note?.startsWith(NOTE) ? new Date(note.slice(NOTE.length)) : undefined;
      return [name, { name, open, sessions, since: since && Number.isNaN(since.getTime()) ? undefined : since }];
    }),
  );
}

/**
 * Lets a role log in with this password, and makes the role where there is none. All of it has happened, or nothing. The server is
 * sent the verifier (RFC 5802): the password itself would stand in its log.
 */
export async function openRole(ask: Ask, owner: string, name: string, password: string, now: Date): Promise<void> {
  await ask('begin');
  try {
    const [known] = await ask('select 1 from pg_roles where rolname = $1', [name]);
    if (!known) await ask(`create role ${quoted(name)} nologin`);
    await ask(`grant ${quoted(owner)} to ${quoted(name)}`);
    await ask(`alter role ${quoted(name)} set role ${quoted(owner)}`);
    await ask(`alter role ${quoted(name)} login password ${literal(verifierOf(password))}`);
    await ask(`comment on role ${quoted(name)} is ${literal(`${NOTE}${now.toISOString()}`)}`);
    await ask('commit');
  } catch (error) {
    await ask('rollback');
    throw error;
  }
}

/** Nobody logs in as it any more, and its password is gone. Sessions that there are go on. */
export const closeRole = async (ask: Ask, name: string): Promise<void> =>
  void (await ask(`alter role ${quoted(name)} nologin password null`));

/** What PostgreSQL stores of a password for SCRAM-SHA-256 (RFC 5802, 7677). Ours are ASCII: nothing is to be normalised. */
export function verifierOf(password: string, salt = randomBytes(16)): string {
  const salted = pbkdf2Sync(password, salt, ITERATIONS, 32, 'sha256');
  const keyed = (label: string) => createHmac('sha256', salted).update(label).digest();
  const stored = createHash('sha256').update(keyed('Client Key')).digest('base64');
  return `SCRAM-SHA-256$${ITERATIONS}:${salt.toString('base64')}$${stored}:${keyed('Server Key').toString('base64')}`;
}
