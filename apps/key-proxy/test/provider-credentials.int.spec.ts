import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { developmentCa } from '@postern/testing';
import { startHttpsFront, type HttpsFront } from '@postern/testing/https-front';
import { everything, newTenant, openProviderWorld, type ProviderWorld } from './provider-world.ts';
import { openWorld, signUpBody } from './world.ts';

let opened: ProviderWorld;
let world: ProviderWorld['world'];
let job: ProviderWorld['job'];
let aws: ProviderWorld['aws'];
let google: ProviderWorld['google'];
let azure: ProviderWorld['azure'];
let send: ProviderWorld['send'];
let person: ProviderWorld['person'];
let awsKeys: ProviderWorld['awsKeys'];
let configure: ProviderWorld['configure'];
let canary: HttpsFront;

beforeAll(async () => {
  [opened, canary] = await Promise.all([
    openProviderWorld(),
    startHttpsFront(async () => ({ status: 200, body: '{}' })),
  ]);
  ({ world, job, aws, google, azure, send, person, awsKeys, configure } = opened);
}, 120_000);
afterAll(async () => {
  await opened?.close();
  await canary?.close();
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
  const body = { value: { text: 'v' }, provider: 'role', cache_seconds: 0 };
  // Three at once are the first to use it.
  const made = await Promise.all(['r', 's', 't'].map((name) => send('POST', `/v1/secrets/${name}`, token, body)));
  expect(made.map(({ status }) => status)).toEqual([201, 201, 201]);
  for (const name of ['r', 's', 't'])
    expect(await send('GET', `/v1/secrets/${name}`, token)).toMatchObject({ body: { value: { text: 'v' } } });
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
