import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { newTenant, openProviderWorld, type ProviderWorld } from './provider-world.ts';

let opened: ProviderWorld;
let world: ProviderWorld['world'];
let aws: ProviderWorld['aws'];
let google: ProviderWorld['google'];
let send: ProviderWorld['send'];
let person: ProviderWorld['person'];
let awsKeys: ProviderWorld['awsKeys'];
let configure: ProviderWorld['configure'];

beforeAll(async () => {
  opened = await openProviderWorld();
  ({ world, aws, google, send, person, awsKeys, configure } = opened);
}, 120_000);
afterAll(async () => {
  await opened?.close();
});

test('credentials are checked when they are given, sealed, and never shown', async () => {
  const token = await person(newTenant());
  expect(await configure(token, 'main', 'aws', awsKeys({ access_key_id: 'AKIAWRONG0000000' }))).toMatchObject({
    status: 422,
    body: { code: 'credentials_refused' },
  });
  const kept = await configure(token, 'main', 'aws', awsKeys());
  expect(kept).toMatchObject({ status: 200, body: { name: 'main', kind: 'aws', settings: { region: aws.region } } });
  const { body } = await send('GET', '/v1/providers', token);
  expect(body['configured']).toMatchObject([{ name: 'crypto-store' }, { name: 'main', kind: 'aws' }]);
  const [dump] = await world.rows<{ all: string }>(
    `select concat((select json_agg(c) from provider_configurations c), (select json_agg(encode(canonical, 'escape')) from audit_outbox)) as all`,
  );
  for (const shown of [JSON.stringify(kept), JSON.stringify(body), dump?.all, world.logged.join('\n')])
    expect(shown).not.toContain(aws.secretAccessKey);
});

test('several configurations, a default of the tenant and one of each person', async () => {
  const tenant = newTenant();
  const [alice, bob] = [await person(tenant), await person(tenant, 'bob', [])];
  await configure(alice, 'main', 'aws', awsKeys());
  await configure(alice, 'other', 'gcp', {
    project_id: google.projectId,
    service_account_json: JSON.stringify(google.serviceAccount),
  });
  const kindOf = async (token: string, name: string, provider?: string) =>
    (await send('POST', `/v1/secrets/${name}`, token, { value: { text: 'v' }, ...(provider ? { provider } : {}) }))
      .body['kind'];

  expect(await send('PUT', '/v1/provider-default', bob, { name: 'main', of: 'tenant' })).toMatchObject({
    status: 403,
    body: { code: 'administrator_required' },
  });
  await send('PUT', '/v1/provider-default', alice, { name: 'main', of: 'tenant' });
  expect(await kindOf(bob, 'one')).toBe('aws');
  await send('PUT', '/v1/provider-default', bob, { name: 'other' });
  expect([await kindOf(bob, 'two'), await kindOf(alice, 'three'), await kindOf(bob, 'four', 'main')]).toEqual([
    'gcp',
    'aws',
    'aws',
  ]);
  expect(await send('POST', '/v1/secrets/five', bob, { value: { text: 'v' }, provider: 'none' })).toMatchObject({
    status: 404,
    body: { code: 'provider_unknown' },
  });
  expect(await send('DELETE', '/v1/providers/other', alice)).toMatchObject({
    status: 409,
    body: { code: 'provider_in_use' },
  });
});

test('a secret at a provider: created, read, the value nowhere here; another tenant sees neither it nor the provider', async () => {
  const tenant = newTenant();
  const token = await person(tenant);
  await configure(token, 'main', 'aws', awsKeys());
  const made = await send('POST', '/v1/secrets/smtp%2Fpassword', token, {
    value: { text: 'canary-3c1f' },
    provider: 'main',
    tags: { team: 'mail' },
  });
  expect(made).toMatchObject({
    status: 201,
    body: { name: 'smtp/password', kind: 'aws', version: 1, tags: { team: 'mail' } },
  });
  expect(made.body['reference']).toMatch(/^postern\/[0-9a-f]{32}\/smtp=2fpassword$/);
  const read = await send('GET', '/v1/secrets/smtp%2Fpassword', token);
  expect(read).toMatchObject({ status: 200, body: { value: { text: 'canary-3c1f' }, version: 1, type: 'text' } });
  const bytes = Buffer.from([0, 1, 2, 255]).toString('base64');
  await send('POST', '/v1/secrets/key', token, { value: { base64: bytes }, provider: 'main' });
  expect((await send('GET', '/v1/secrets/key', token)).body).toMatchObject({
    type: 'binary',
    value: { base64: bytes },
  });
  const [dump] = await world.rows<{ all: string }>(
    `select concat((select json_agg(s) from secrets s), (select json_agg(v) from secret_versions v),
       (select json_agg(w) from provider_writes w), (select json_agg(encode(canonical, 'escape')) from audit_outbox)) as all`,
  );
  expect(dump?.all).not.toContain('canary-3c1f');
  const stranger = await person(newTenant());
  expect(await send('GET', '/v1/secrets/smtp%2Fpassword', stranger)).toMatchObject({ status: 404 });
  expect(await send('POST', '/v1/secrets/x', stranger, { value: { text: 'v' }, provider: 'main' })).toMatchObject({
    status: 404,
  });
});

test('credentials are replaced without a request failing', async () => {
  const token = await person(newTenant());
  await configure(token, 'main', 'aws', awsKeys());
  await send('POST', '/v1/secrets/s', token, { value: { text: 'v' }, provider: 'main', cache_seconds: 0 });
  let stop = false;
  const statuses: number[] = [];
  const reading = (async () => {
    while (!stop) statuses.push((await send('GET', '/v1/secrets/s', token)).status);
  })();
  for (let n = 0; n < 3; n += 1)
    expect((await configure(token, 'main', 'aws', awsKeys({ secret_access_key: `new-${n}` }))).status).toBe(200);
  stop = true;
  await reading;
  expect(new Set(statuses)).toEqual(new Set([200]));
});

test('a provider that goes while a secret, a default or a move is about to name it: refused, and nothing is left of that', async () => {
  const tenant = newTenant();
  const token = await person(tenant);
  await configure(token, 'other', 'aws', awsKeys());
  await send('POST', '/v1/secrets/there', token, { value: { text: 'v' }, provider: 'other' });
  const asked = [
    () => send('POST', '/v1/secrets/s', token, { value: { text: 'v' }, provider: 'main' }),
    () => send('PUT', '/v1/provider-default', token, { name: 'main' }),
    () => send('POST', '/v1/secret-moves', token, { from: 'other', to: 'main' }),
  ];
  const answers: unknown[] = [];
  for (const ask of asked) {
    const { body } = await configure(token, 'main', 'aws', awsKeys());
    expect(body).toMatchObject({ name: 'main' });
    let answer: ReturnType<typeof ask> | undefined;
    await world.inTransaction(async (statement) => {
      await statement(`delete from provider_configurations where tenant = $1 and name = 'main'`, [tenant]);
      answer = ask();
      await world.waitsForLocks(1);
    });
    const { status, body: said } = (await answer) ?? {};
    answers.push([status, said?.['code']]);
  }
  expect(answers).toEqual([
    [422, 'provider_unavailable'],
    [404, 'provider_unknown'],
    [404, 'provider_unknown'],
  ]);
  expect(await send('GET', '/v1/secrets/s/metadata', token)).toMatchObject({ status: 404 });
});

test('the matrix of what each provider can do is served', async () => {
  const { body } = await send('GET', '/v1/providers', await person(newTenant()));
  const kinds = body['kinds'] as { kind: string; operations: Record<string, string>; limits: Record<string, number> }[];
  expect(kinds.map(({ kind }) => kind)).toEqual(['crypto-store', 'aws', 'azure', 'gcp', 'openbao']);
  expect(kinds.find(({ kind }) => kind === 'azure')).toMatchObject({
    operations: { compare_and_set: 'emulated', delete: 'native' },
    limits: { value_bytes: 25_600 },
  });
});

test('what a provider would not take is refused before it is asked', async () => {
  const token = await person(newTenant());
  await configure(token, 'g', 'gcp', { project_id: google.projectId, service_account_json: google.serviceAccount });
  google.forgetCalls();
  const create = (name: string, more: object) =>
    send('POST', `/v1/secrets/${name}`, token, { provider: 'g', value: { text: 'v' }, ...more });
  expect(await create('long', { value: { text: 'x'.repeat(65_537) } })).toMatchObject({
    status: 413,
    body: { code: 'value_too_large', detail: 'gcp takes 65536 bytes, this is 65537' },
  });
  expect(await create('%D0%BA'.repeat(100), {})).toMatchObject({ status: 422, body: { code: 'name_too_long' } });
  expect(google.calls()).toEqual({});
});
