import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Caller } from './caller.ts';
import { consented } from './consents.ts';
import { openWorld, type Replica, type World } from './world.ts';

let world: World;
let replicas: Replica[];
let portal: Caller;
let job: Caller;

beforeAll(async () => {
  world = await openWorld({ rotation: { maxReuse: 0 }, announcesLogouts: false });
  replicas = [await world.replica()];
  replicas.push(await world.replica({ POSTERN_PUBLIC_PORT: '0' }), await world.replica({ POSTERN_PUBLIC_PORT: '0' }));
  [portal, job] = await Promise.all([world.caller('portal'), world.caller('job')]);
});
afterAll(() => world.close());

const first = () => replicas[0]!;

/** A grant whose last confirmation is too old, so that its next use needs the provider. */
async function staleGrant(): Promise<string> {
  const grant = await consented(world, portal, first());
  await age(grant);
  return grant;
}
const age = (grant: string) =>
  world.query("update grants set confirmed_at = now() - interval '1 hour' where id = $1", [grant]);

async function use(grant: string, replica: Replica = first()) {
  const token = await job.ownToken(['grants:use']);
  const body = { audience: 'token-exchange' };
  return job.send(`${replica.api}/v1/grants/${grant}/access-token`, { method: 'POST', token, body });
}

type Row = { state: string; generation: string };
const attempts = (grant: string) =>
  world.query<Row>('select state, generation from refresh_attempts where grant_id = $1 order by created_at', [grant]);
const grantRow = async (grant: string) =>
  (await world.query<Row & { confirmed_at: Date }>('select * from grants where id = $1', [grant]))[0];

test('R20: a hundred parallel uses of one rotating refresh token over three replicas make one upstream refresh', async () => {
  const grant = await staleGrant();
  const answers = await Promise.all(Array.from({ length: 100 }, (_, at) => use(grant, replicas[at % 3])));
  expect(answers.map(({ status }) => status)).toEqual(Array<number>(100).fill(200));
  expect(await attempts(grant)).toEqual([{ state: 'applied', generation: '1' }]);
  expect(await grantRow(grant)).toMatchObject({ state: 'active', generation: '2' });
  // The family lives: the rotated token is the one we hold, and it refreshes again.
  await age(grant);
  expect((await use(grant, replicas[1])).status).toBe(200);
  expect(await attempts(grant)).toHaveLength(2);
});

test('R11: a grant confirmed within the life of an access token is used without the provider', async () => {
  const grant = await consented(world, portal, first());
  await world.stopProvider();
  expect((await use(grant)).status).toBe(200);
  await age(grant);
  const refused = await use(grant);
  expect([refused.status, refused.body['code']]).toEqual([503, 'provider_unavailable']);
  // Nothing was sent, so nothing is left open.
  expect((await attempts(grant)).map(({ state }) => state)).toEqual(['abandoned']);
  await world.restartProvider();
  expect((await use(grant)).status).toBe(200);
});

test('R20: a grant that the provider no longer knows needs the person again, and says so ever after', async () => {
  const grant = await staleGrant();
  world.provider().expireOfflineSessions('alice', 'auth-manager');
  for (const replica of replicas) {
    const refused = await use(grant, replica);
    expect([refused.status, refused.body['code']]).toEqual([409, 'reauthorization_required']);
  }
  expect(await attempts(grant)).toHaveLength(1);
});

const openAttempt = async (grant: string, { deadline }: { deadline: string }) =>
  world.query(
    `insert into refresh_attempts (id, grant_id, generation, token_fingerprint, deadline, created_at)
     select gen_random_uuid(), id, generation, token_fingerprint, now() + $2::interval, now() from grants where id = $1`,
    [grant, deadline],
  );

test('R20: what a killed process left open holds everything back until its deadline and the handling time have passed', async () => {
  const grant = await staleGrant();
  await openAttempt(grant, { deadline: '1 minute' });
  const refused = await use(grant);
  expect([refused.status, refused.body['code']]).toEqual([503, 'provider_unavailable']);
  expect(Number(refused.headers['retry-after'])).toBeGreaterThan(0);
  expect(await attempts(grant)).toHaveLength(1);
});

test('R20: after that the provider is asked; where the old token lives, it is sent again', async () => {
  const grant = await staleGrant();
  await openAttempt(grant, { deadline: '-1 minute' });
  expect((await use(grant)).status).toBe(200);
  expect((await attempts(grant)).map(({ state }) => state)).toEqual(['abandoned', 'applied']);
});

test('R20: where the old token no longer lives, it is not sent: the person is needed again', async () => {
  const grant = await staleGrant();
  await openAttempt(grant, { deadline: '-1 minute' });
  world.provider().expireOfflineSessions('alice', 'auth-manager');
  expect((await use(grant)).body['code']).toBe('reauthorization_required');
  expect((await attempts(grant)).map(({ state }) => state)).toEqual(['refused']);
});

test('R20: where the provider cannot be asked, nothing is sent and nothing is settled', async () => {
  const grant = await staleGrant();
  await openAttempt(grant, { deadline: '-1 minute' });
  await world.stopProvider();
  expect((await use(grant)).status).toBe(503);
  expect((await attempts(grant)).map(({ state }) => state)).toEqual(['intended']);
  await world.restartProvider();
  expect((await use(grant)).status).toBe(200);
});

test('R20: two grants are refreshed side by side, each once, also when their uses are mixed over replicas', async () => {
  const grants = [await staleGrant(), await staleGrant(), await staleGrant()];
  const answers = await Promise.all(
    Array.from({ length: 30 }, (_, at) => use(grants[at % 3]!, replicas[(at + (at >> 2)) % 3])),
  );
  expect(answers.every(({ status }) => status === 200)).toBe(true);
  for (const grant of grants) expect(await attempts(grant)).toHaveLength(1);
});

test('many grants at once are refreshed by one replica with a small pool, and none waits for ever', async () => {
  const small = await world.replica({ POSTERN_PUBLIC_PORT: '0', POSTERN_POSTGRES_POOL_SIZE: '4' });
  const grants: string[] = [];
  for (let made = 0; made < 12; made++) grants.push(await staleGrant());
  const answers = await Promise.all(grants.flatMap((grant) => [use(grant, small), use(grant, small)]));
  expect(answers.map(({ status }) => status)).toEqual(Array<number>(24).fill(200));
});

test('R9: a refresh outlives the rotation of our certificate: the grant is bound to our DPoP key', async () => {
  const grant = await staleGrant();
  const { cert, key, ca } = await world.authority.issue('auth-manager').then(({ paths }) => paths);
  const rotated = await world.replica({
    POSTERN_PUBLIC_PORT: '0',
    POSTERN_TLS_CERT_PATH: cert,
    POSTERN_TLS_KEY_PATH: key,
    POSTERN_TLS_CA_PATH: ca,
  });
  expect((await use(grant, rotated)).status).toBe(200);
});
