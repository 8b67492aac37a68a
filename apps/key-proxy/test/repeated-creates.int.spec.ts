import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Caller } from './caller.ts';
import { openWorld, type World } from './world.ts';

let world: World;
let job: Caller;
/** How far the service's clock is ahead, in milliseconds. */
const clock = { ahead: 0 };

beforeAll(async () => {
  world = await openWorld({ others: true, now: () => new Date(Date.now() + clock.ahead) });
  job = await world.caller('job');
}, 120_000);
afterAll(() => world?.close());

const both = ['secrets:read', 'secrets:write'];
const aliceOf = (tenant: string) => world.token(job.thumbprint, both, { tenant });
const newTenant = () => `kp_${randomUUID().replaceAll('-', '')}`;
const create = (token: string, name: string, value: string) =>
  job.send('POST', `${world.url}/create-secret`, { token, body: { secret_name: name, secret_value: value } });

test('a create that is repeated under its Idempotency-Key is answered again; the key is of one request, and tells nobody the value', async () => {
  const tenant = newTenant();
  const token = await aliceOf(tenant);
  const under = (key: string, name: string, text: string, by = token) =>
    job.send('POST', `${world.url}/v1/secrets/${name}`, {
      token: by,
      body: { value: { text } },
      headers: { 'idempotency-key': key },
    });
  const made = await under('k1', 'repeated', 'canary-41aa');
  expect(made.status).toBe(201);
  expect(await under('k1', 'repeated', 'canary-41aa')).toMatchObject({ status: 201, body: made.body });
  for (const [name, text] of [
    ['repeated', 'another'],
    ['elsewhere', 'canary-41aa'],
  ] as const)
    expect(await under('k1', name, text)).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
  expect(await under('k2', 'repeated', 'canary-41aa')).toMatchObject({ status: 409, body: { code: 'secret_exists' } });
  const other = await world.token(job.thumbprint, both, { tenant, sub: 'bob' });
  expect((await under('k1', 'repeated', 'canary-41aa', other)).body['id']).not.toBe(made.body['id']);
  const rows = await world.rows<{ request: Buffer }>(
    `select idempotency_request as request from secrets where tenant = $1 and name = 'repeated'`,
    [tenant],
  );
  expect(new Set(rows.map(({ request }) => request.toString('hex'))).size).toBe(2);
  const generated = () =>
    job.send('POST', `${world.url}/v1/secrets/pair`, {
      token,
      body: { generate: { kind: 'key_pair', algorithm: 'ed25519' } },
      headers: { 'idempotency-key': 'k3' },
    });
  const pair = await generated();
  expect(pair).toMatchObject({ status: 201, body: { public_key: expect.stringContaining('PUBLIC KEY') } });
  expect((await generated()).body).toEqual(pair.body);
});

/** The routes that make secrets: what each is sent, the value of it or the secret that it is copied from. */
const creates = {
  '/create-secret': (name: string, value: string) => ['/create-secret', { secret_name: name, secret_value: value }],
  '/v1/secrets/:name/copy': (name: string, from: string) => [`/v1/secrets/${from}/copy`, { name }],
} as const;

test.each(Object.entries(creates))(
  '%s under an Idempotency-Key is made once, whoever asks how often',
  async (_route, asked) => {
    const tenant = newTenant();
    const token = await aliceOf(tenant);
    // Values for the one route, names of secrets for the other.
    const [source, another] = ['source-0f', 'another-0f'];
    for (const secret_name of [source, another])
      await job.send('POST', `${world.url}/create-secret`, { token, body: { secret_name, secret_value: secret_name } });
    const under = (key: string, name: string, of: string, by = token) => {
      const [path, body] = asked(name, of);
      return job.send('POST', `${world.url}${path}`, { token: by, body, headers: { 'idempotency-key': key } });
    };
    const made = await under('k1', 'made', source);
    expect(made.status).toBe(201);
    const [again, twice] = await Promise.all([under('k1', 'made', source), under('k1', 'made', source)]);
    expect([again, twice]).toMatchObject([
      { status: 201, body: made.body },
      { status: 201, body: made.body },
    ]);
    for (const [name, of] of [
      ['made', another],
      ['elsewhere', source],
    ] as const)
      expect(await under('k1', name, of)).toMatchObject({ status: 422, body: { code: 'idempotency_key_reused' } });
    expect(await under('k2', 'made', source)).toMatchObject({ status: 409, body: { code: 'secret_exists' } });
    expect((await under('not a key', 'made', source)).status).toBe(400);

    const counted = await world.rows<{ name: string }>(
      `select name from secrets where tenant = $1 and name not in ($2, $3)`,
      [tenant, source, another],
    );
    expect(counted).toEqual([{ name: 'made' }]);
    const written = await world.rows(
      `select 1 from provider_writes w join secrets s on s.id = w.secret_id where s.tenant = $1 and s.name = 'made'`,
      [tenant],
    );
    expect(written).toHaveLength(1);
    const repeats = await world.rows<{ outcome: string }>(
      `select e ->> 'outcome' as outcome from (select convert_from(canonical, 'utf8')::jsonb as e from audit_outbox) events
     where e ->> 'tenant' = $1 and e ->> 'reason' = 'repeated'`,
      [tenant],
    );
    expect(repeats).toEqual([{ outcome: 'success' }, { outcome: 'success' }]);
    // The key is this person's: another one's request under it is another one.
    const bob = await world.token(job.thumbprint, both, { tenant, sub: 'bob' });
    expect((await under('k1', 'made', source, bob)).body['id']).not.toBe(made.body['id']);
  },
);

test('a create that died midway keeps its name until it is given up, then is repeated under the same reference', async () => {
  const tenant = newTenant();
  const token = await aliceOf(tenant);
  await create(token, 'other', 'v');
  await world.rows(
    `insert into secrets (id, tenant, owner_issuer, owner_sub, name, provider, reference, created_at, updated_at)
     select ($2::text)::uuid, tenant, owner_issuer, owner_sub, 'died', provider, 'secret/' || $2::text, $3, $3 from secrets where tenant = $1`,
    [tenant, '0b9d4f6e-4b51-4c34-9a43-1f1f7d0a7a11', new Date()],
  );
  expect(await create(token, 'died', 'v')).toMatchObject({ status: 409, body: { code: 'secret_busy' } });
  const { body } = await job.send('GET', `${world.url}/get-all-secrets`, { token });
  expect(body['secrets']).toHaveLength(1);
  clock.ahead += 61_000;
  expect(await create(token, 'died', 'v')).toMatchObject({
    status: 201,
    body: { reference: 'secret/0b9d4f6e-4b51-4c34-9a43-1f1f7d0a7a11' },
  });
});

test('a name whose write may still arrive is not taken over, though it is older itself: a create that is refused holds it no longer', async () => {
  const tenant = newTenant();
  const token = await aliceOf(tenant);
  await create(token, 'other', 'v');
  const id = '5e1f0a52-6f0e-4d0f-8a7d-9a2f6d3b1c44';
  const ago = (ms: number) => new Date(Date.now() + clock.ahead - ms);
  const taken = ago(61_000);
  await world.rows(
    `insert into secrets (id, tenant, owner_issuer, owner_sub, name, provider, reference, created_at, updated_at)
     select ($2::text)::uuid, tenant, owner_issuer, owner_sub, 'slow', provider, 'secret/' || $2::text, $3, $3 from secrets where tenant = $1`,
    [tenant, id, taken],
  );
  await world.rows(
    `insert into provider_writes (id, secret_id, tenant, operation, started_at) values (gen_random_uuid(), $1, $2, 'create', $3)`,
    [id, tenant, ago(30_000)],
  );
  expect(await create(token, 'slow', 'v')).toMatchObject({ status: 409, body: { code: 'secret_busy' } });
  const held = await world.rows<{ at: Date }>(`select updated_at as at from secrets where id = $1`, [id]);
  expect(held).toEqual([{ at: taken }]);
  clock.ahead += 31_000;
  // It never reached the store: that is found out first, and the name given back to whoever tries again.
  expect(await create(token, 'slow', 'v')).toMatchObject({ status: 409, body: { code: 'secret_busy' } });
  expect(await create(token, 'slow', 'v')).toMatchObject({ status: 201 });
});
