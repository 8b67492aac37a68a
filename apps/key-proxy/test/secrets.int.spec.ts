import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type AuditEvent } from '@postern/audit';
import { type Caller } from './caller.ts';
import { operatorOf } from './external-secrets.ts';
import { startService } from './service-process.ts';
import { openWorld, signUpBody, type World } from './world.ts';

let world: World;
let job: Caller;
let portal: Caller;
/** How far the service's clock is ahead, in milliseconds. */
const clock = { ahead: 0 };

beforeAll(async () => {
  world = await openWorld({ others: true, now: () => new Date(Date.now() + clock.ahead) });
  [job, portal] = await Promise.all([world.caller('job'), world.caller('portal')]);
}, 120_000);
afterAll(() => world.close());

const both = ['secrets:read', 'secrets:write'];
const aliceOf = (tenant: string, scopes: readonly string[] = both) => world.token(job.thumbprint, scopes, { tenant });
const create = (token: string, name: string, value: string, caller = job) =>
  caller.send('POST', `${world.url}/create-secret`, { token, body: { secret_name: name, secret_value: value } });
const list = (token: string, query = '', caller = job) =>
  caller.send('GET', `${world.url}/get-all-secrets${query}`, { token });
const newTenant = () => `kp_${randomUUID().replaceAll('-', '')}`;

/** The tenant's events in a service's outbox, in their order; refusals of its requests apart. */
async function eventsOf(service: Pick<World, 'rows'> | undefined, tenant: string): Promise<AuditEvent[]> {
  const rows = await service?.rows<{ event: string }>(
    `select convert_from(canonical, 'utf8') as event from audit_outbox order by id`,
  );
  const events = (rows ?? []).map(({ event }) => JSON.parse(event) as AuditEvent);
  return events.filter((event) => event.tenant === tenant && event.action !== 'request.refused');
}

test('the walk of the seed: sign up, log in, create a secret, list it, read it', async () => {
  await portal.send('POST', `${world.url}/signup`, { body: signUpBody('walk@foods.example') });
  const login = await portal.send('POST', `${world.url}/login`, {
    body: { email: 'walk@foods.example', password: 'a long enough password' },
  });
  const token = String(login.body['access_token']);
  const created = await create(token, 'smtp', 'mail-password', portal);
  expect(created).toMatchObject({ status: 201, body: { name: 'smtp', provider: 'crypto-store', version: '1' } });
  expect(await list(token, '', portal)).toMatchObject({ status: 200, body: { secrets: [created.body], next: null } });
  const opened = { ...created.body, value: 'mail-password' };
  expect(await list(token, '?values=true', portal)).toMatchObject({ status: 200, body: { secrets: [opened] } });
});

test('R5: the store is called with a token exchanged for this caller, of the one scope that the call needs', async () => {
  const tenant = newTenant();
  const token = await aliceOf(tenant);
  await create(token, 'one', 'v');
  await list(token, '?values=true');
  await list(token, '?values=true');
  const exchanges = (await eventsOf(world.exchange, tenant)).map(({ actor, details }) => ({ actor, ...details }));
  // The reading one is noted with the write, to settle it by, and reads the value later.
  expect(exchanges).toMatchObject([
    { audience: 'crypto-store', scopes: ['records:read'], subjectClient: 'job', actor: { workload: 'key-proxy' } },
    { audience: 'crypto-store', scopes: ['records:write'], subjectClient: 'job', actor: { workload: 'key-proxy' } },
  ]);
  const [written] = await eventsOf(world.store, tenant);
  expect(written).toMatchObject({
    action: 'record.written',
    actor: { person: { sub: 'alice' }, workload: 'key-proxy', acts: ['key-proxy', 'job'] },
  });
});

test('R38: the database keeps the reference and a keyed fingerprint, never the value; equal values have unequal fingerprints', async () => {
  const tenant = newTenant();
  const token = await aliceOf(tenant);
  await create(token, 'one', 'canary-value-5d1e');
  await create(token, 'two', 'canary-value-5d1e');
  const [dump] = await world.rows<{ all: string }>(
    `select concat((select json_agg(s) from secrets s),
       (select json_agg(encode(canonical, 'escape')) from audit_outbox)) as all`,
  );
  expect(dump?.all).not.toContain('canary-value-5d1e');
  const rows = await world.rows<{ print: string }>(
    `select encode(fingerprint, 'hex') as print from secrets where tenant = $1`,
    [tenant],
  );
  expect(new Set(rows.map(({ print }) => print)).size).toBe(2);
  const { body } = await list(token);
  expect(JSON.stringify(body)).not.toContain(rows[0]?.print ?? '');
});

test('a secret belongs to one person of one tenant: another person, and the same person elsewhere, see nothing of it', async () => {
  const tenant = newTenant();
  await create(await aliceOf(tenant), 'mine', 'v');
  for (const token of [
    await world.token(job.thumbprint, both, { tenant, sub: 'bob' }),
    await world.token(job.thumbprint, both, { tenant, subjectIssuer: 'https://other.example/realms/x' }),
    await aliceOf(newTenant()),
  ]) {
    expect(await list(token, '?values=true')).toMatchObject({ status: 200, body: { secrets: [] } });
    expect(await create(token, 'mine', 'v')).toMatchObject({ status: 201 });
  }
});

test('a name is taken once, also by creates at the same time; the first value stays', async () => {
  const token = await aliceOf(newTenant());
  const answers = await Promise.all(['a', 'b', 'c'].map((value) => create(token, 'same', value)));
  expect(answers.map(({ status }) => status).sort()).toEqual([201, 409, 409]);
  const winner = ['a', 'b', 'c'][answers.findIndex(({ status }) => status === 201)];
  expect(await list(token, '?values=true')).toMatchObject({ body: { secrets: [{ value: winner }] } });
});

test('R23: intent, then outcome, also where policy refuses this caller; the name is free again', async () => {
  const tenant = newTenant();
  const stranger = await world.token(job.thumbprint, both, { tenant, clientId: 'operator' });
  expect(await create(stranger, 'wanted', 'v')).toMatchObject({ status: 403, body: { code: 'provider_forbidden' } });
  expect(await create(await aliceOf(tenant), 'wanted', 'v')).toMatchObject({ status: 201 });
  const created = (await eventsOf(world, tenant)).filter(({ action }) => action === 'secret.created');
  expect(created.map(({ outcome, reason }) => [outcome, reason])).toEqual([
    ['intent', undefined],
    ['failed', 'provider_forbidden'],
    ['intent', undefined],
    ['success', undefined],
  ]);
});

test('a token that ends between this service and its exchange is refused as any ended token is, and nothing was written', async () => {
  const tenant = newTenant();
  await create(await aliceOf(tenant), 'kept', 'v');
  // Good by this service's clock, ended by token-exchange's.
  const iat = Math.floor(Date.now() / 1000) - 300;
  const ending = { tenant, roles: ['admin'], lifetimeSeconds: -10, claims: { iat } };
  const token = await world.token(job.thumbprint, [...both, 'secrets:audit'], ending);
  clock.ahead = -60_000;
  try {
    const log = job.send('GET', `${world.url}/audit-logs`, { token });
    for (const refused of [await create(token, 'lost', 'v'), await list(token, '?values=true'), await log]) {
      expect(refused).toMatchObject({ status: 401, body: { code: 'invalid_token' } });
      expect(refused.headers['www-authenticate']).toContain('error="invalid_token"');
    }
  } finally {
    clock.ahead = 0;
  }
  expect(await create(await aliceOf(tenant), 'lost', 'v')).toMatchObject({ status: 201 });
});

test('each value that is given out is an event of its own, beside the list’s', async () => {
  const tenant = newTenant();
  const token = await aliceOf(tenant);
  for (const name of ['a', 'b', 'c']) await create(token, name, name);
  await list(token, '?values=true&limit=2');
  const read = (await eventsOf(world, tenant)).filter(({ action }) => action !== 'secret.created');
  // Events of one millisecond have no order among themselves.
  const shown = read.map(({ action, details }) => [action, details['name'] ?? details['count']]);
  expect(shown.toSorted((a, b) => a.join().localeCompare(b.join()))).toEqual([
    ['secret.read', 'a'],
    ['secret.read', 'b'],
    ['secrets.listed', 2],
  ]);
});

test('while the store does not answer nothing is claimed: 503, an open name, and the list of what is there', async () => {
  const token = await aliceOf(newTenant());
  await create(token, 'kept', 'v');
  world.store?.pause();
  try {
    const refused = await create(token, 'lost', 'v');
    expect(refused).toMatchObject({ status: 503, body: { code: 'provider_unreachable' } });
    expect(await list(token, '?values=true')).toMatchObject({ status: 503, body: { code: 'provider_unreachable' } });
    expect((await list(token)).body).toMatchObject({ secrets: [{ name: 'kept' }] });
  } finally {
    world.store?.resume();
  }
  expect(await create(token, 'lost', 'v')).toMatchObject({ status: 409, body: { code: 'secret_busy' } });
  clock.ahead += 61_000;
  // Whether the store took the first attempt when it went on is its own affair. Where it did not, that is found out first, and
  // the name given back to whoever tries again.
  const answer = await create(token, 'lost', 'v');
  if (answer.status !== 201) expect(answer).toMatchObject({ status: 409, body: { code: 'secret_busy' } });
  const settled = answer.status === 201 ? answer : await create(token, 'lost', 'v');
  expect(settled).toMatchObject({ status: 201 });
});

test('a write has the number of the moment in which it begins: one that another overtook is the version after that', async () => {
  const token = await aliceOf(newTenant());
  await create(token, 'overtaken', 'one');
  const put = () =>
    job.send('POST', `${world.url}/v1/secrets/overtaken/versions`, { token, body: { value: { text: 'three' } } });
  let late: ReturnType<typeof put> | undefined;
  await world.inTransaction(async (statement) => {
    await statement('lock table provider_writes in share mode');
    late = put();
    await waiting('provider_writes');
    // What another one's write is, once it has ended.
    await statement(`insert into secret_versions (secret_id, version, provider_version, fingerprint, type, created_at)
      select id, 2, 'another', fingerprint, type, now() from secrets where name = 'overtaken'`);
    await statement(`update secrets set version = 2, provider_version = 'another', generation = generation + 1
      where name = 'overtaken'`);
  });
  expect(await late).toMatchObject({ status: 201, body: { version: 3 } });
});

/** Until a statement waits for a lock on the table. */
async function waiting(table: string): Promise<void> {
  for (let n = 0; n < 600; n += 1) {
    const found = await world.rows(`select 1 from pg_locks where not granted and relation = $1::regclass`, [table]);
    if (found.length > 0) return;
    await new Promise((resolve) => setTimeout(resolve, 50));
  }
  throw new Error('nobody waits for the table');
}

test('R5, R23: the worker finds out at crypto-store what became of a write, with the reading token that is noted with it', async () => {
  const token = await aliceOf(newTenant());
  world.store?.pause();
  expect(await create(token, 'open', 'v')).toMatchObject({ status: 503 });
  world.store?.resume();
  const open = () =>
    world.rows<{ token: Buffer | null }>(`select sealed_token as token from provider_writes where outcome is null`);
  const [write] = await open();
  expect(write?.token?.toString('latin1')).not.toMatch(/eyJ[\w-]{10}/);
  await world.rows(`update provider_writes set started_at = started_at - interval '10 minutes' where outcome is null`);
  const worker = await startService('key-proxy', { ...world.env, POSTERN_ROLE: 'all', POSTERN_PUBLIC_PORT: '0' });
  for (let n = 0; n < 600 && (await open()).length > 0; n += 1)
    await new Promise((resolve) => setTimeout(resolve, 100));
  await worker.close();
  expect(await open()).toEqual([]);
  expect(await world.rows(`select 1 from provider_writes where sealed_token is not null`)).toEqual([]);
  const [{ outcome } = { outcome: '' }] = await world.rows<{ outcome: string }>(
    `select outcome from provider_writes order by started_at limit 1`,
  );
  // Whether the store took it when it went on is its own affair; what is said here agrees with it.
  expect((await list(token, '?values=true')).body).toMatchObject({
    secrets: outcome === 'done' ? [{ name: 'open', value: 'v' }] : [],
  });
});

test('pages follow each other by name', async () => {
  const token = await aliceOf(newTenant());
  for (const name of ['c', 'a', 'b']) await create(token, name, name);
  const first = await list(token, '?limit=2');
  expect(first.body).toMatchObject({ secrets: [{ name: 'a' }, { name: 'b' }], next: 'b' });
  expect((await list(token, '?limit=2&after=b')).body).toMatchObject({ secrets: [{ name: 'c' }], next: null });
});

test('who may not, cannot: a missing scope is named, and a workload without a person has no secrets', async () => {
  const reader = await aliceOf(newTenant(), ['secrets:read']);
  const refused = await create(reader, 'x', 'v');
  expect(refused).toMatchObject({ status: 403, body: { code: 'insufficient_scope' } });
  expect(refused.headers['www-authenticate']).toContain('scope="secrets:write"');
  expect((await job.send('GET', `${world.url}/audit-logs`, { token: reader })).status).toBe(403);
  const alone = await world.token(job.thumbprint, both, { subjectIssuer: null, sub: 'job' });
  expect(await list(alone)).toMatchObject({ status: 403, body: { code: 'person_required' } });
});

test('no value, name or token is in the log, whatever was done with them', async () => {
  const token = await aliceOf(newTenant());
  await create(token, 'canary-name-77c0', 'canary-value-77c0');
  await create(token, 'canary-name-77c0', 'canary-value-77c0');
  await list(token, '?values=true');
  await list(token, '?unknown=canary-value-77c0');
  const log = world.logged.join('\n');
  expect(log.length).toBeGreaterThan(1_000);
  for (const canary of ['canary-name-77c0', 'canary-value-77c0', token, token.split('.')[2] ?? '']) {
    for (const form of [canary, Buffer.from(canary).toString('base64url'), encodeURIComponent(canary)]) {
      expect(log).not.toContain(form);
    }
  }
});

test('External Secrets Operator: the call of the example’s manifest, over the certificate that its proxy holds, reads the value', async () => {
  const operator = await operatorOf(world.url, job);
  const token = await aliceOf(newTenant());
  for (const name of [operator.key, 'team/mail+1', 'kodeord-æ']) {
    expect((await create(token, name, `value of ${name}`)).status).toBe(201);
    expect(await operator.read(name, token)).toMatchObject({ status: 200, value: `value of ${name}` });
  }
  expect(await operator.read('absent', token)).toMatchObject({ status: 404, body: { code: 'secret_not_found' } });
  expect(await operator.read('absent', '')).toMatchObject({ status: 401 });
});
