import { chmodSync, existsSync, mkdirSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { asAdmin, developmentCa, startPostgres, type PostgresServer } from '@postern/testing';
import pg from 'pg';
import { rotateDatabasePassword, type DatabaseStep } from '../../src/keycloak/rotate-database-password.ts';
import { documentText, START_MS, type ShopWorld } from './world.ts';

const COMMAND = ['keycloak', 'database', 'rotate-password', '--file', 'rotated.toml', '--json'];
const DAY_MS = 86_400_000;

/** A PostgreSQL whose roles log in by password, and the files that a server would read. */
export function databaseSuite(world: () => ShopWorld): void {
  let postgres: PostgresServer;
  let url: string;
  const at = (name: string) => join(world().folder, 'database', name);
  const rotate = async (...more: string[]) => {
    const { code, out, err } = await world().postern([...COMMAND, ...more, ...world().server], '', {
      DATABASE_URL: url,
    });
    return { code, err, steps: (out === '' ? [] : JSON.parse(out)) as DatabaseStep[] };
  };
  const read = (name: string) => world().read(`database/${name}`);
  const pair = () => ({ user: read('role'), password: read('password') });

  /** As the server logs in. */
  async function connected({ user, password }: { user: string; password: string }): Promise<pg.Client> {
    const ssl = { ca: postgres.admin.ca, servername: 'localhost' };
    const client = new pg.Client({ host: '127.0.0.1', port: postgres.port, database: 'keycloak', user, password, ssl });
    client.on('error', () => {});
    await client.connect();
    return client;
  }
  const asked = async (credential: { user: string; password: string }, statement: string) => {
    const client = await connected(credential);
    try {
      return (await client.query<Record<string, unknown>>(statement)).rows;
    } finally {
      await client.end();
    }
  };

  beforeAll(async () => {
    mkdirSync(at(''));
    chmodSync(world().folder, 0o755);
    chmodSync(at(''), 0o755);
    writeFileSync(
      at('hba.conf'),
      'hostssl all postgres 127.0.0.1/32 cert\nhostssl keycloak +keycloak 127.0.0.1/32 scram-sha-256\n',
      { mode: 0o644 },
    );
    const settings = { hba_file: at('hba.conf'), log_statement: 'all' };
    postgres = await startPostgres({ folder: at('postgres'), authority: developmentCa(), settings });
    const { cert, key, ca } = postgres.admin.paths;
    url = `postgresql://postgres@localhost:${postgres.port}/keycloak?sslmode=verify-full&sslcert=${cert}&sslkey=${key}&sslrootcert=${ca}`;
    await asAdmin(postgres, async (client) => {
      await client.query(`create role keycloak login password 'as-it-was-until-now'`);
      await client.query('create database keycloak owner keycloak');
    });
    const table = `[keycloak.database]\nusername_file = "${at('role')}"\npassword_file = "${at('password')}"\n\n[keycloak.realm.shop]`;
    world().write('rotated.toml', documentText.replace('[keycloak.realm.shop]', table));
  }, START_MS);
  afterAll(() => postgres?.discard(), START_MS);

  test('the server gets a role with a password that stands in no log; it acts as the owner, whose password works on for its time', async () => {
    const before = await asked({ user: 'keycloak', password: 'as-it-was-until-now' }, 'create table realm (id int)');
    expect(before).toEqual([]);
    expect(await rotate()).toEqual({ code: 0, err: '', steps: [{ done: 'rotated', role: 'keycloak_a' }] });
    expect(pair().user).toBe('keycloak_a');
    // As an operator lets the server's group read it: it stays so over every rotation.
    chmodSync(at('password'), 0o640);
    expect(await asked(pair(), 'select current_user, session_user')).toEqual([
      { current_user: 'keycloak', session_user: 'keycloak_a' },
    ]);
    await asked(pair(), 'alter table realm add column name text');
    await asked({ user: 'keycloak', password: 'as-it-was-until-now' }, 'select name from realm');
    const log = readFileSync(postgres.logFile, 'utf8');
    expect(log).toContain('alter role "keycloak_a" login password');
    expect(log).not.toContain(pair().password);
  });

  test('it is noted in the realm before it is made, as a change by an administrator', async () => {
    const events = await world().adminEvents('REALM');
    expect(events.filter(({ representation }) => /keycloak_a at \d{4}-/.test(representation ?? ''))).toHaveLength(1);
    expect(await world().live('apply', '--plan')).toMatchObject({ code: 0, out: 'realm shop: nothing to do' });
    // Where it cannot be noted, nothing is given.
    const held = pair();
    const refused = await world().postern([...COMMAND, '--when-older-than', '0', ...world().server], '', {
      DATABASE_URL: url,
      KEYCLOAK_ADMIN_PASSWORD: 'wrong',
    });
    expect(refused.code).toBe(1);
    expect(JSON.parse(refused.out)).toEqual({
      error: { exitCode: 1, message: 'the administrator was refused: invalid_grant' },
    });
    expect(pair()).toEqual(held);
  });

  test('nothing is done before 90 days; the next is the other role, and the one before serves whom it served', async () => {
    expect(await rotate()).toEqual({
      code: 0,
      err: '',
      steps: [{ done: 'nothing', role: 'keycloak_a', daysLeft: 90 }],
    });
    const first = pair();
    const server = await connected(first);
    try {
      expect(await rotate('--when-older-than', '0')).toMatchObject({
        steps: [{ done: 'rotated', role: 'keycloak_b' }],
      });
      expect(pair().user).toBe('keycloak_b');
      expect(statSync(at('password')).mode & 0o777).toBe(0o640);
      await asked(pair(), 'alter table realm drop column name');
      await asked(first, 'select 1');
      // Twice in a row it would take the server's next connection away: it is said instead.
      expect(await rotate('--when-older-than', '0')).toMatchObject({
        code: 1,
        steps: [{ done: 'in use', role: 'keycloak_a', sessions: 1 }],
      });
      // Its time is over, but a server still has it; nobody has the owner's own password.
      expect(await rotate('--keep', '0')).toMatchObject({
        code: 1,
        steps: expect.arrayContaining([
          { done: 'in use', role: 'keycloak_a', sessions: 1 },
          { done: 'closed', role: 'keycloak' },
        ]),
      });
      await server.query('select 1');
    } finally {
      await server.end();
    }
    await untilGone('keycloak_a');
    expect(await rotate('--keep', '0')).toMatchObject({ code: 0, steps: [{ done: 'closed', role: 'keycloak_a' }] });
    await expect(connected(first)).rejects.toThrow(/not permitted to log in|password authentication failed/);
    await expect(connected({ user: 'keycloak', password: 'as-it-was-until-now' })).rejects.toThrow();
    expect(await asked(pair(), 'select current_user')).toEqual([{ current_user: 'keycloak' }]);
  });

  test.each([
    ['the note', 'begin'],
    ['the new password', 'commit'],
  ])(
    'ended after %s, the pair in the files logs in, and the next run gives the role again',
    async (_where, statement) => {
      const held = pair();
      await asAdmin(
        postgres,
        async (client) => {
          const ended = new Error('ended here');
          const ask = async (text: string, values?: readonly unknown[]) => {
            if (text === statement && text === 'begin') throw ended;
            const { rows } = await client.query(text, values as unknown[]);
            if (text === statement) throw ended;
            return rows as never;
          };
          const files = { username: at('role'), password: at('password') };
          const once = { ask, owner: 'keycloak', files, olderThanDays: 90, keepHours: 24 };
          const later = () => new Date(Date.now() + 91 * DAY_MS);
          await expect(
            rotateDatabasePassword({ ...once, sealed: async (text) => text, record: async () => {}, now: later }),
          ).rejects.toBe(ended);
        },
        'keycloak',
      );
      expect(pair()).toEqual(held);
      await asked(held, 'select 1');
      const { steps } = await rotate('--when-older-than', '0');
      expect(steps).toMatchObject([{ done: 'rotated' }]);
      expect(pair().user).not.toBe(held.user);
      await asked(pair(), 'select 1');
    },
  );

  test('ended between the two renames, the next run puts the name in place', async () => {
    const held = pair();
    const other = held.user === 'keycloak_a' ? 'keycloak_b' : 'keycloak_a';
    // As it is there: the role before stands in the file, beside a password that is not its own.
    writeFileSync(at('role'), other);
    writeFileSync(at('role.next'), held.user);
    await expect(connected(pair())).rejects.toThrow();
    expect(await rotate()).toMatchObject({ code: 0, steps: [{ done: 'nothing', role: held.user }] });
    expect(existsSync(at('role.next'))).toBe(false);
    await asked(pair(), 'select 1');
  });

  test('a document or an environment that does not say where: exit code 78, nothing changed', async () => {
    const held = pair();
    const command = [...COMMAND, '--when-older-than', '0', ...world().server];
    expect(await world().postern(command)).toMatchObject({ code: 78, err: expect.stringContaining('DATABASE_URL') });
    const without = [...command.slice(0, 3), ...command.slice(5)];
    expect(await world().postern(without, '', { DATABASE_URL: url })).toMatchObject({
      code: 78,
      err: expect.stringContaining('username_file'),
    });
    const nobody = url.replace('/keycloak?', '/nowhere?');
    expect(await world().postern(command, '', { DATABASE_URL: nobody })).toMatchObject({
      code: 69,
      err: 'the database: 3D000',
    });
    expect(pair()).toEqual(held);
  });

  /** A session ends a moment after its client has left. */
  async function untilGone(role: string): Promise<void> {
    for (;;) {
      const sessions = await asAdmin(postgres, (client) =>
        client.query('select 1 from pg_stat_activity where usename = $1', [role]),
      );
      if (sessions.rowCount === 0) return;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
  }
}
