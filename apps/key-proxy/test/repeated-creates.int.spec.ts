import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type Caller } from './caller.ts';
import { openWorld, type World } from './world.ts';

let world: World;
let job: Caller;

beforeAll(async () => {
  world = await openWorld({ others: true });
  job = await world.caller('job');
}, 120_000);
afterAll(() => world?.close());

const both = ['secrets:read', 'secrets:write'];
const aliceOf = (tenant: string) => world.token(job.thumbprint, both, { tenant });
const newTenant = () => `kp_${randomUUID().replaceAll('-', '')}`;

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
