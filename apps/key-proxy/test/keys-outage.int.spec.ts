import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { CreateKeyCommand, KMSClient } from '@aws-sdk/client-kms';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { closeInReverse } from '@postern/runtime';
import { describeWith, developmentCa, realPart, testIssuer } from '@postern/testing';
import { createServiceRole, startAws } from '@postern/testing/aws';
import { startAzure, type Azure } from '@postern/testing/azure';
import { type Caller } from './caller.ts';
import { openWorld, type World } from './world.ts';

const kms = await realPart('moto 5.2', startAws);
const MINUTE_MS = 60_000;
const tenant = `kp_${'0'.repeat(31)}1`;

describeWith(kms, 'while the root key cannot be reached', (account) => {
  const closing = closeInReverse();
  let world: World;
  let azure: Azure;
  let job: Caller;
  /** The service's clock. */
  let time = Date.now();

  beforeAll(async () => {
    closing.after(account);
    const realm = closing.after(await testIssuer({ kinds: ['provider-access'] }));
    azure = closing.after(await startAzure());
    const folder = await mkdtemp(join(tmpdir(), 'web-identity-'));
    closing.add(() => rm(folder, { recursive: true }));
    const tokenPath = join(folder, 'token');
    const as = { sub: 'key-proxy', audience: 'sts.amazonaws.com', lifetimeSeconds: 3_600 };
    await writeFile(tokenPath, await realm.mint(as));
    const { endpoint, region, operator } = account;
    const client = new KMSClient({ region, endpoint, credentials: operator });
    const keyArn = (await client.send(new CreateKeyCommand({}))).KeyMetadata?.Arn ?? '';
    client.destroy();
    const role = { role: 'postern-key-proxy', subject: 'key-proxy', issuer: realm.entry.issuer, keyArns: [keyArn] };
    const { paths } = await developmentCa().issue('front');
    world = closing.after(
      await openWorld({
        now: () => new Date(time),
        endpoints: { azure: { authorityHost: azure.url } },
        env: {
          POSTERN_ROLE: 'all',
          POSTERN_PROVIDER_HOSTS: `127.0.0.1:${azure.port}`,
          POSTERN_PROVIDER_CA_PATH: paths.ca,
          POSTERN_ROOT_KEY: 'aws-kms',
          POSTERN_ROOT_KEY_ARN: keyArn,
          POSTERN_AWS_ROLE_ARN: await createServiceRole(account, role),
          POSTERN_AWS_TOKEN_PATH: tokenPath,
          POSTERN_AWS_ENDPOINT: endpoint,
        },
      }),
    );
    job = await world.caller('job');
  }, 180_000);
  afterAll(closing.close);

  /** A request with a token that is good at the service's time. */
  async function send(method: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE', path: string, body?: object) {
    const iat = Math.floor(time / 1_000);
    const scopes = ['read', 'write', 'use', 'delete', 'configure'].map((verb) => `secrets:${verb}`);
    const claims = { iat, exp: iat + 300 };
    const token = await world.token(job.thumbprint, scopes, { tenant, roles: ['admin'], claims });
    return job.send(method, `${world.url}${path}`, { token, ...(body && { body }) });
  }
  const at = () => ({ vault_url: azure.url, tenant_id: azure.tenantId, client_id: azure.clientId });
  const vault = () => ({ kind: 'azure', credentials: { ...at(), client_secret: azure.clientSecret } });

  test('every way to a provider’s credentials says so and to come again, and leaves nothing open; once it is back all go on', async () => {
    for (const name of ['vault', 'other'])
      expect(await send('PUT', `/v1/providers/${name}`, vault())).toMatchObject({ status: 200 });
    const made = { value: { text: 'v' }, provider: 'vault', cache_seconds: 0 };
    expect(await send('POST', '/v1/secrets/kept', made)).toMatchObject({ status: 201 });
    const use = { host: 'api.example', placement: { kind: 'bearer' }, methods: ['GET'], path: '/v1/*' };
    expect((await send('PUT', '/v1/secrets/kept/use', use)).status).toBe(204);
    const plan = await send('POST', '/v1/secret-moves', { from: 'vault', to: 'other' });
    expect(plan).toMatchObject({ status: 201 });

    account.cut(true);
    time += 6 * MINUTE_MS;
    // Else the provider that is open already serves: its credentials are of the same generation.
    await world.rows('update provider_configurations set generation = generation + 1');

    const asked = [
      ['GET', '/v1/secrets/kept'],
      ['GET', '/get-all-secrets?values=true'],
      ['POST', '/v1/secrets/kept/use', { method: 'GET', path: '/v1/a' }],
      ['POST', '/v1/secrets/new', made],
      ['POST', '/v1/secrets/kept/versions', { value: { text: 'w' } }],
      ['PATCH', '/v1/secrets/kept', { tags: { team: 'web' } }],
      ['POST', '/v1/secrets/kept/disable'],
      ['POST', '/v1/secrets/kept/copy', { name: 'copy' }],
      ['DELETE', '/v1/secrets/kept'],
      ['POST', '/v1/secrets/kept/destroy', { confirm: 'kept' }],
      ['POST', '/v1/providers/vault/check'],
      ['PUT', '/v1/providers/vault', vault()],
      // Without a secret of its own: what it asserts cannot be signed.
      ['PUT', '/v1/providers/keyless', { kind: 'azure', credentials: at() }],
    ] as const;
    const answers: unknown[] = [];
    for (const [method, path, body] of asked) {
      const { status, body: said, headers } = await send(method, path, body);
      answers.push([method, path, status, said['code'], headers['retry-after']]);
    }
    expect(answers).toEqual(asked.map(([method, path]) => [method, path, 503, 'keys_unavailable', '1']));
    expect(await world.rows('select operation from provider_writes where outcome is null')).toEqual([]);
    expect(await world.rows(`select name from secrets where state <> 'live'`)).toEqual([]);

    const started = await send('POST', `/v1/secret-moves/${plan.body['id']}/start`);
    expect(started).toMatchObject({ status: 202 });
    expect(await reasonOf(String(started.body['job']))).toBe('keys_unavailable');

    account.cut(false);
    time += 11_000;
    expect(await send('GET', '/v1/secrets/kept')).toMatchObject({ status: 200, body: { value: { text: 'v' } } });
    expect(await send('POST', '/v1/secrets/new', made)).toMatchObject({ status: 201 });
    expect(await send('DELETE', '/v1/secrets/new')).toMatchObject({ status: 200 });
  });

  /** Why a job was given back, to be tried again. */
  async function reasonOf(id: string): Promise<string> {
    for (let n = 0; n < 600; n += 1) {
      const [event] = await world.rows<{ reason: string }>(
        `select data ->> 'reason' as reason from background_job_events where job = $1 and kind in ('retried', 'failed')`,
        [id],
      );
      if (event) return event.reason;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    throw new Error('the job was not given back');
  }
});
