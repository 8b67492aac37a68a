import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { watchTlsMaterial } from '@postern/mtls';
import { openPostgres, type Postgres } from '@postern/postgres';
import { profiles } from '@postern/profile';
import { closeInReverse, Secret, systemNow } from '@postern/runtime';
import { accountPolicy } from '../src/accounts/account-policy.ts';
import { commonPasswords } from '../src/accounts/breached-passwords.ts';
import { checkedChange } from '../src/accounts/change-password.ts';
import { attemptLogin } from '../src/accounts/log-in.ts';
import { openPasswords, type Passwords } from '../src/accounts/password.ts';
import { type Schema } from '../src/db/schema.ts';
import { companiesIn, failed, password, type Companies } from './company.ts';
import { openWorld, type World } from './world.ts';

const closing = closeInReverse();
let world: World;
let companies: Companies;
let postgres: Postgres<Schema>;
let passwords: Passwords;

beforeAll(async () => {
  world = closing.after(await openWorld());
  companies = companiesIn(world, await world.caller('portal'));
  const { env } = world;
  const paths = { cert: env.POSTERN_TLS_CERT_PATH, key: env.POSTERN_TLS_KEY_PATH, ca: env.POSTERN_TLS_CA_PATH };
  const tls = closing.after(await watchTlsMaterial(paths));
  postgres = closing.after(
    await openPostgres<Schema>({ url: env.POSTERN_POSTGRES_URL, tls, applicationName: 'password-work' }),
  );
  passwords = await openPasswords({ fips: false });
}, 180_000);
afterAll(closing.close);

type Row = { id: string; email: string; password_hash: string };
const rowOf = async (email: string) =>
  (await world.rows<Row>('select id, email, password_hash from accounts where email = $1', [email]))[0] as Row;

/** The same, and how many connections of the pool are in use at each hashing. */
function watched(): { passwords: Passwords; inUse: number[] } {
  const inUse: number[] = [];
  const look = <T>(work: Promise<T>): Promise<T> => {
    inUse.push(postgres.pool.totalCount - postgres.pool.idleCount);
    return work;
  };
  return {
    inUse,
    passwords: {
      ...passwords,
      hash: (given) => look(passwords.hash(given)),
      verify: (...given) => look(passwords.verify(...given)),
    },
  };
}

test('no connection is held while passwords are hashed: of a change as many as are remembered, of a login one', async () => {
  await companies.administrator('boss@work.example');
  const account = await rowOf('boss@work.example');
  await world.rows(
    `insert into former_passwords (account, password_hash, replaced_at)
     select $1, $2, now() - make_interval(days => n) from generate_series(1, 23) n`,
    [account.id, await passwords.hash(new Secret('one of long ago'))],
  );
  const [profile, present] = [profiles['fedramp-moderate'], new Secret(password)];
  const of = { db: postgres.db, profile, policy: accountPolicy(profile), breached: await commonPasswords() };
  const change = watched();
  const next = new Secret('another long password');
  await checkedChange({ ...of, ...change }, account, { present, next });
  // The present one, 24 that may not come again, the new one.
  expect(change.inUse).toEqual(Array.from({ length: 26 }, () => 0));

  const login = watched();
  const noFactor = { branchKeys: undefined as never };
  const attempt = { email: account.email, password: present };
  expect(await attemptLogin({ ...of, ...login, ...noFactor, now: systemNow }, attempt)).toMatchObject({
    outcome: 'known',
  });
  expect(login.inUse).toEqual([0]);
}, 120_000);

test('an account is not held while its former passwords are read; one that has another password by then is looked at again', async () => {
  const token = await companies.administrator('boss@meanwhile.example');
  const other = await passwords.hash(new Secret('a password of another'));
  const [locked, looked] = [Promise.withResolvers<void>(), Promise.withResolvers<void>()];
  const held = world.whileLocked('former_passwords', locked.resolve, looked.promise);
  await locked.promise;
  const body = { present_password: password, new_password: 'another long password' };
  const change = companies.send('POST', '/v1/account/password', token, body);
  try {
    await world.waitsForLocks(1);
    const { email } = await rowOf('boss@meanwhile.example');
    const free = 'select id from accounts where email = $1 for update nowait';
    await world.rows(
      `with free as (${free}) update accounts set password_hash = $2 where id in (select id from free)`,
      [email, other],
    );
  } finally {
    looked.resolve();
    await held;
  }
  expect(await change).toMatchObject(failed(403, 'password_refused'));
  expect((await rowOf('boss@meanwhile.example')).password_hash).toBe(other);
}, 120_000);
