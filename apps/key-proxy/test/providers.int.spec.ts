import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { developmentCa } from '@postern/testing';
import { startAzure, type Azure } from '@postern/testing/azure';
import { startGoogle, type Google } from '@postern/testing/google';
import { startHttpsFront, type HttpsFront } from '@postern/testing/https-front';
import { startSecretsManager, type SecretsManager } from '@postern/testing/secrets-manager';
import { type Caller } from './caller.ts';
import { openWorld, signUpBody, type World } from './world.ts';

let world: World;
let job: Caller;
let aws: SecretsManager;
let google: Google;
let azure: Azure;
let canary: HttpsFront;

beforeAll(async () => {
  const { paths } = await developmentCa().issue('front');
  [aws, google, azure, canary] = await Promise.all([
    startSecretsManager(),
    startGoogle(),
    startAzure(),
    startHttpsFront(async () => ({ status: 200, body: '{}' })),
  ]);
  world = await openWorld({
    env: {
      POSTERN_PROVIDER_HOSTS: [aws, google, azure].map(({ port }) => `127.0.0.1:${port}`).join(','),
      POSTERN_PROVIDER_CA_PATH: paths.ca,
    },
    endpoints: {
      aws: aws.url,
      azure: { authorityHost: azure.url },
      google: { host: '127.0.0.1', port: google.port, tokenEndpoint: google.tokenEndpoint },
    },
  });
  job = await world.caller('job');
}, 120_000);
afterAll(async () => {
  await Promise.all([world?.close(), aws?.close(), google?.close(), azure?.close(), canary?.close()]);
});

const newTenant = () => `kp_${randomUUID().replaceAll('-', '')}`;
const everything = ['secrets:read', 'secrets:write', 'secrets:configure'];
const person = (tenant: string, sub = 'alice', roles: string[] = ['admin']) =>
  world.token(job.thumbprint, everything, { tenant, sub, roles });
const awsKeys = (more: object = {}) => ({
  region: aws.region,
  access_key_id: aws.accessKeyId,
  secret_access_key: aws.secretAccessKey,
  ...more,
});
const send = (method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, token: string, body?: object) =>
  job.send(method, `${world.url}${path}`, { token, body });
const configure = (token: string, name: string, kind: string, credentials: object) =>
  send('PUT', `/v1/providers/${name}`, token, { kind, credentials });

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

test('R36: only named fields of a service account; where tokens come from is never taken from its document', async () => {
  const token = await person(newTenant());
  const account = google.serviceAccount;
  const gcp = (service_account_json: unknown) =>
    configure(token, 'g', 'gcp', { project_id: google.projectId, service_account_json });
  const hostile = {
    type: 'external_account',
    audience: '//iam.googleapis.com/x',
    subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
    token_url: `${canary.url}/token`,
    credential_source: { file: '/etc/passwd', url: `${canary.url}/source` },
  };
  for (const document of [
    hostile,
    JSON.stringify(hostile),
    { ...hostile, ...account, type: 'external_account' },
    'x',
    [],
    null,
  ])
    expect(await gcp(document)).toMatchObject({ status: 400, body: { code: 'invalid_input' } });
  const redirected = {
    ...account,
    token_uri: `${canary.url}/token`,
    auth_uri: canary.url,
    universe_domain: 'evil.example',
  };
  expect(await gcp(redirected)).toMatchObject({ status: 200 });
  expect(canary.calls()).toEqual({});
});

test('R35: an address that a tenant gives leads to public or listed hosts alone; the canary is untouched', async () => {
  const token = await person(newTenant());
  const bao = (address: string) => configure(token, 'bao', 'openbao', { address, token: 'hvs.x' });
  const { port } = canary;
  const refused = [
    canary.url,
    `https://localhost:${port}`,
    `https://127.1:${port}`,
    `https://0x7f000001:${port}`,
    `https://2130706433:${port}`,
    `https://[::1]:${port}`,
    `https://[::ffff:127.0.0.1]:${port}`,
    `https://[64:ff9b::7f00:1]:${port}`,
    'https://169.254.169.254',
    'https://metadata.google.internal',
    'https://10.0.0.1',
    'https://100.64.0.1',
  ];
  for (const address of refused) {
    const answer = await bao(address);
    expect([422, 503]).toContain(answer.status);
    expect(['provider_address_refused', 'provider_unreachable']).toContain(answer.body['code']);
  }
  for (const address of [
    `http://127.0.0.1:${port}`,
    `https://u:p@127.0.0.1:${port}`,
    `${canary.url}/v1/sys?x=`,
    'file:///etc/passwd',
    'x',
  ])
    expect(await bao(address)).toMatchObject({ status: 400, body: { code: 'invalid_input' } });
  expect(canary.calls()).toEqual({});
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

test('R36: a vault without a secret: under an assertion of this very tenant, which no other tenant of ours can get', async () => {
  const [tenant, other] = [newTenant(), newTenant()];
  azure.trust({ issuer: world.issuerUrl, subject: `${world.issuerUrl}:${tenant}` });
  const vault = { vault_url: azure.url, tenant_id: azure.tenantId, client_id: azure.clientId };
  expect(await configure(await person(other), 'vault', 'azure', vault)).toMatchObject({
    status: 422,
    body: { code: 'credentials_refused' },
  });
  const token = await person(tenant);
  expect(await configure(token, 'vault', 'azure', vault)).toMatchObject({ status: 200 });
  expect(await send('POST', '/v1/secrets/f', token, { value: { text: 'v' }, provider: 'vault' })).toMatchObject({
    status: 201,
  });
  expect(await send('GET', '/v1/secrets/f', token)).toMatchObject({ status: 200, body: { value: { text: 'v' } } });
});

test('R7: what the clouds verify by is RS256 and a set of its own, which no token of ours is signed by', async () => {
  const keysAt = async (document: string) => {
    const { body } = await job.send('GET', `${world.url}/.well-known/${document}`);
    const { body: set } = await job.send('GET', String(body['jwks_uri']).replace(world.issuerUrl, world.url));
    return (set['keys'] as { kid: string; alg: string }[]).map(({ kid, alg }) => ({ kid, alg }));
  };
  const [asserted, tokens] = [await keysAt('openid-configuration'), await keysAt('oauth-authorization-server')];
  expect(asserted.map(({ alg }) => alg)).toEqual(['RS256']);
  expect(tokens.map(({ alg }) => alg)).toEqual(['ES256', 'ES256']);
  expect(tokens.map(({ kid }) => kid)).not.toContain(asserted[0]?.kid);
});

test('R36: a role without a key: STS gives a session for the assertion of this very tenant alone, once for many calls', async () => {
  const [tenant, other] = [newTenant(), newTenant()];
  const subject = `${world.issuerUrl}:${tenant}`;
  const role_arn = await aws.createRole({ role: 'secrets-of-acme', issuer: world.issuerUrl, subject });
  const keyless = { region: aws.region, role_arn };
  expect(await configure(await person(other), 'role', 'aws', keyless)).toMatchObject({
    body: { code: 'provider_forbidden' },
  });
  aws.forgetCalls();
  const token = await person(tenant);
  expect(await configure(token, 'role', 'aws', keyless)).toMatchObject({ status: 200 });
  const made = await send('POST', '/v1/secrets/r', token, { value: { text: 'v' }, provider: 'role', cache_seconds: 0 });
  expect(made).toMatchObject({ status: 201 });
  for (let n = 0; n < 3; n += 1)
    expect(await send('GET', '/v1/secrets/r', token)).toMatchObject({ status: 200, body: { value: { text: 'v' } } });
  // One session is of the check of what was given, one of the configuration as it is used since.
  expect(aws.calls()).toMatchObject({ AssumeRoleWithWebIdentity: 2, GetSecretValue: 3 });
});

test('R2: in high there are no accounts of this service, and people of an identity provider go on with their providers', async () => {
  const { paths } = await developmentCa().issue('front');
  const high = await openWorld({
    env: {
      POSTERN_PROFILE: 'fedramp-high',
      POSTERN_FIPS: 'false',
      POSTERN_PROVIDER_HOSTS: `127.0.0.1:${aws.port}`,
      POSTERN_PROVIDER_CA_PATH: paths.ca,
    },
    endpoints: { aws: aws.url },
  });
  try {
    const caller = await high.caller('job');
    for (const [path, body] of [
      ['/signup', signUpBody('high@foods.example')],
      ['/login', { email: 'high@foods.example', password: 'a long enough password' }],
    ] as const)
      expect(await caller.send('POST', `${high.url}${path}`, { body })).toMatchObject({
        status: 403,
        body: { code: 'accounts_off' },
      });
    const token = await high.token(caller.thumbprint, everything, { tenant: newTenant(), roles: ['admin'] });
    const as = (method: 'GET' | 'POST' | 'PUT', path: string, body?: object) =>
      caller.send(method, `${high.url}${path}`, { token, body });
    expect(await as('PUT', '/v1/providers/main', { kind: 'aws', credentials: awsKeys() })).toMatchObject({
      status: 200,
    });
    const made = await as('POST', '/v1/secrets/s', { value: { text: 'v' }, provider: 'main' });
    expect(made).toMatchObject({ status: 201 });
    expect(await as('GET', '/v1/secrets/s')).toMatchObject({ status: 200, body: { value: { text: 'v' } } });
    expect(await high.rows('select 1 from accounts')).toEqual([]);
  } finally {
    await high.close();
  }
});
