import { randomBytes } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import type { Caller } from './caller.ts';
import { consented, HANDLE, SCOPES } from './consents.ts';
import { endOfJob } from './end-of-job.ts';
import { oldVault } from './old-vault.ts';
import { openProviderSide, type ProviderSide } from './provider-side.ts';
import { openWorld, type Replica, type World } from './world.ts';

let world: World;
let replica: Replica;
let portal: Caller;
let job: Caller;
let side: ProviderSide;

beforeAll(async () => {
  world = await openWorld({ rotation: 'off' });
  [replica, portal, job] = await Promise.all([
    world.replica({ POSTERN_ROLE: 'all' }),
    world.caller('portal'),
    world.caller('job'),
  ]);
  side = await openProviderSide(world);
});
afterAll(async () => {
  await side.close();
  await world.close();
});

const admin = (username = 'admin-ada', roles = ['admin']) =>
  portal.tokenFor(username, ['grants:read', 'grants:write'], { roles });
const ask = async (path: string, body?: unknown, token?: string) =>
  portal.send(`${replica.api}${path}`, {
    token: token ?? (await admin()),
    ...(body === undefined ? {} : { method: 'POST', body }),
  });
const idsOf = ({ body }: Awaited<ReturnType<typeof ask>>) => (body['grants'] as { id: string }[]).map(({ id }) => id);

const ended = (job: unknown) => endOfJob(portal, replica, job);

test('an administrator finds grants by person, state, provider and workload, page by page, and nobody else does', async () => {
  const [one, two] = [await consented(world, portal, replica), await consented(world, portal, replica)];
  const audreys = await consented(world, portal, replica, { username: 'audrey' });
  const byPerson = await ask(`/v1/admin/grants?sub=${world.subOf('alice')}&state=active`);
  expect(idsOf(byPerson)).toEqual(expect.arrayContaining([one, two]));
  expect(idsOf(byPerson)).not.toContain(audreys);
  expect(JSON.stringify(byPerson.body)).not.toMatch(/sealed|fingerprint|"session":/);

  const first = await ask('/v1/admin/grants?limit=2');
  const rest = await ask(`/v1/admin/grants?limit=200&cursor=${String(first.body['next'])}`);
  expect(idsOf(first)).toHaveLength(2);
  expect(new Set([...idsOf(first), ...idsOf(rest)]).size).toBe(idsOf(first).length + idsOf(rest).length);
  expect([...idsOf(first), ...idsOf(rest)]).toEqual(expect.arrayContaining([one, two, audreys]));
  expect(idsOf(await ask('/v1/admin/grants?workload=token-exchange'))).toEqual([]);
  expect(idsOf(await ask(`/v1/admin/grants?provider=${encodeURIComponent('https://other.example')}`))).toEqual([]);

  expect((await ask('/v1/admin/grants', undefined, await admin('alice', ['user']))).status).toBe(403);
  const elsewhere = await portal.tokenFor('admin-ada', ['grants:read'], { roles: ['admin'], tenant: 'globex' });
  expect(idsOf(await ask('/v1/admin/grants', undefined, elsewhere))).toEqual([]);
  expect((await ask('/v1/admin/grants?cursor=zzz')).status).toBe(400);
});

test('of the providers of a tenant that has more than a page of them each is listed once, page by page', async () => {
  await world.query(
    `insert into providers (id, tenant, issuer, client_id, name, scopes, created_at, updated_at)
     select gen_random_uuid(), 'initech', 'https://p' || n || '.example', 'c', 'p' || n, '{}', now(), now() from generate_series(1, 201) n`,
    [],
  );
  const token = await portal.tokenFor('admin-ada', ['grants:read'], { roles: ['admin'], tenant: 'initech' });
  const page = async (query: string) => {
    const { status, body } = await ask(`/v1/providers${query}`, undefined, token);
    const issuers = ((body['providers'] ?? []) as { issuer: string }[]).map(({ issuer }) => issuer);
    return { status, issuers, next: body['next'] };
  };
  const first = await page('');
  const last = await page(`?cursor=${String(first.next)}`);
  expect([first.issuers.length, last.issuers.length, last.next]).toEqual([200, 1, null]);
  expect(new Set([...first.issuers, ...last.issuers]).size).toBe(201);
  const whole = await page(`?limit=1&cursor=${String(first.next)}`);
  expect(whole).toEqual(last);
  for (const wrong of ['?cursor=zzz', '?limit=0', '?limit=201']) expect((await page(wrong)).status).toBe(400);
});

test('a bulk revocation needs the plan of a dry run, ends what it counted here and at the provider, and no plan runs twice', async () => {
  const grants = [
    await consented(world, portal, replica, { username: 'audrey' }),
    await consented(world, portal, replica, { username: 'audrey' }),
  ];
  const token = await job.ownToken(['grants:use']);
  const use = { method: 'POST', token, body: { audience: 'token-exchange' } };
  const minted = await job.send(`${replica.api}/v1/grants/${grants[0]}/access-token`, use);
  expect(minted.status).toBe(200);

  const filter = { sub: world.subOf('audrey'), state: 'active' };
  const dry = await ask('/v1/admin/revocation-plans', filter);
  expect(dry.status).toBe(201);
  expect(dry.body['count']).toBeGreaterThanOrEqual(2);
  // Nothing changed by counting; and a grant made since is not in the plan.
  expect(idsOf(await ask(`/v1/admin/grants?sub=${filter.sub}&state=active`))).toEqual(expect.arrayContaining(grants));
  const later = await consented(world, portal, replica, { username: 'audrey' });

  expect((await ask('/v1/admin/revocations', { plan: crypto.randomUUID() })).body['code']).toBe('plan_not_found');
  const another = await portal.tokenFor('alice', ['grants:write'], { roles: ['admin'] });
  expect((await ask('/v1/admin/revocations', dry.body, another)).status).toBe(400);
  expect((await ask('/v1/admin/revocations', { plan: dry.body['plan'] }, another)).body['code']).toBe('plan_not_found');

  const run = await ask('/v1/admin/revocations', { plan: dry.body['plan'] });
  expect([run.status, run.body['count']]).toEqual([202, dry.body['count']]);
  const end = await ended(run.body['job']);
  expect(end).toMatchObject({ state: 'done', result: { revoked: dry.body['count'], left: 0 } });
  expect(end['progress']).toEqual({ done: dry.body['count'], total: dry.body['count'] });
  const left = await world.query<{ id: string }>('select id from grants where id = any($1)', [[...grants, later]]);
  expect(left.map(({ id }) => id)).toEqual([later]);
  expect((await ask('/v1/admin/revocations', { plan: dry.body['plan'] })).body['code']).toBe('plan_not_found');

  // R14: what was minted from them is dead, said by the issuer itself.
  const said = await side.introspect('token-exchange', replica, String(minted.body['access_token']));
  expect(said).toEqual({ active: false });
});

test('R14: a bulk revocation goes on where the provider does not answer, and says how many are left to its rounds', async () => {
  const grant = await consented(world, portal, replica);
  const dry = await ask('/v1/admin/revocation-plans', { sub: world.subOf('alice') });
  await world.stopProvider();
  const run = await ask('/v1/admin/revocations', { plan: dry.body['plan'] });
  const end = await ended(run.body['job']);
  await world.restartProvider();
  expect(end).toMatchObject({ state: 'done', result: { left: dry.body['count'] } });
  const rows = await world.query<{ state: string }>('select state from grants where id = $1', [grant]);
  expect(rows).toEqual([{ state: 'revoking' }]);
});

test('an administrator pauses the keeping alive at a provider, sees what waits, and resumes it', async () => {
  const grant = await consented(world, portal, replica);
  const provider = world.provider().issuer;
  const put = async (paused: boolean, token?: string) =>
    portal.send(`${replica.api}/v1/keep-alive`, {
      method: 'PUT',
      body: { provider, paused },
      token: token ?? (await admin()),
    });
  expect((await put(true, await admin('alice', ['user']))).status).toBe(403);
  expect((await put(true)).body).toEqual({ provider, paused: true });
  const confirmed = async () => {
    const [row] = await world.query<{ at: Date }>('select confirmed_at as at from grants where id = $1', [grant]);
    return row?.at.getTime();
  };
  const before = await confirmed();
  await world.query("update grants set due_at = now() - interval '1 minute' where id = $1", [grant]);
  const { body } = await ask('/v1/keep-alive');
  const told = body['providers'] as { provider: string; overdue: number }[];
  const here = told.find((one) => one.provider === provider);
  expect(here).toMatchObject({ paused: true, overdue: expect.any(Number) });
  expect(here?.overdue).toBeGreaterThan(0);
  // Another tenant's administrator sees nothing of it, and cannot end it.
  const elsewhere = { roles: ['admin'], tenant: 'globex' };
  const theirs = await portal.tokenFor('admin-ada', ['grants:read', 'grants:write'], elsewhere);
  expect((await ask('/v1/keep-alive', undefined, theirs)).body).toEqual({ providers: [] });
  expect((await put(false, theirs)).status).toBe(200);
  expect(await confirmed()).toBe(before);

  expect((await put(false)).body).toEqual({ provider, paused: false });
  while ((await confirmed()) === before) await sleep(100);
  // It is counted once its refresh is committed, a moment after the row shows it.
  const metrics = async () => (await fetch(`${replica.management}/metrics`)).text();
  while (!/^postern_grants_kept_total\{.*result="refreshed".*\} [1-9]/m.test(await metrics())) await sleep(100);
});

const { key: oldKey, row: oldRow } = oldVault();

test('R9, R18: an import takes what the provider confirms as ours and the same person’s, and says why not of each other row', async () => {
  const [alice, audrey] = [world.subOf('alice'), world.subOf('audrey')];
  const fresh = () => side.offlineToken('alice');
  const [good, dead] = [await fresh(), await fresh()];
  await side.revoke(dead);
  const header = { format: 'auth_vault', key: oldKey, scopes: SCOPES, handle: HANDLE };
  const rows = [
    oldRow(1, alice, good),
    oldRow(2, audrey, await fresh()),
    oldRow(3, alice, dead),
    oldRow(4, alice, await fresh(), { token_hash: 'ab'.repeat(32) }),
    oldRow(5, alice, await fresh(), { token_type: 'REFRESH' }),
    oldRow(6, alice, 'not-a-token-of-anyone'),
    oldRow(7, alice, await fresh(), { iv: randomBytes(16).toString('hex'), token_hash: null }),
    { id: '8' },
  ];
  const send = async (first: object, lines: object[], token?: string) =>
    portal.stream(`${replica.api}/v1/admin/imports`, {
      token: token ?? (await admin()),
      body: [first, ...lines].map((line) => JSON.stringify(line)).join('\n'),
    });
  const many = async () => (await world.query('select id from grants')).length;
  const before = await many();
  const dry = await send({ ...header, dry_run: true }, rows);
  expect(dry.text.split('\n')[0]).toBe('{"outcome":"importable","row":"1"}');
  expect(dry.text).toContain('{"summary":{"imported":0,"importable":1,"already":0,"refused":7}}');
  expect(await many()).toBe(before);

  const claims = { quotas: { 'auth-manager': { grants: before } } };
  const full = await portal.tokenFor('admin-ada', ['grants:read', 'grants:write'], { roles: ['admin'], claims });
  expect((await send(header, rows.slice(0, 1), full)).text).toContain(
    '"outcome":"refused","row":"1","reason":"quota_exceeded"',
  );
  expect(await many()).toBe(before);

  const report = await send(header, rows);
  expect(report.status).toBe(200);
  const lines = report.text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  const results = lines.slice(0, -1).map(({ row, outcome, reason }) => [row, outcome, reason ?? null]);
  expect(results).toEqual([
    ['1', 'imported', null],
    ['2', 'refused', 'other_person'],
    ['3', 'refused', 'not_active'],
    ['4', 'refused', 'hash_mismatch'],
    ['5', 'refused', 'other_kind'],
    ['6', 'refused', 'not_active'],
    ['7', 'refused', expect.stringMatching(/undecryptable|not_active/)],
    [null, 'refused', 'malformed'],
  ]);
  expect(lines.at(-1)).toEqual({ summary: { imported: 1, importable: 0, already: 0, refused: 7 } });

  // It is a grant like any other: sealed, and good for its handle.
  const grant = String(lines[0]?.['grant']);
  const stored = await world.query<{ sealed_token: Buffer }>('select sealed_token from grants where id = $1', [grant]);
  expect(stored[0]?.sealed_token.includes(good)).toBe(false);
  await world.query("update grants set confirmed_at = now() - interval '1 hour' where id = $1", [grant]);
  const use = { method: 'POST', token: await job.ownToken(['grants:use']), body: { audience: 'token-exchange' } };
  expect((await job.send(`${replica.api}/v1/grants/${grant}/access-token`, use)).status).toBe(200);

  // Sent again, nothing is done twice.
  const again = await send(header, rows.slice(0, 1));
  expect(again.text).toContain('"outcome":"already"');
  // A wrong header is refused by name, without its key.
  const wrong = await send({ ...header, key: 'canary' }, []);
  expect([wrong.status, wrong.text]).toEqual([400, expect.stringContaining('header.key')]);
  expect(wrong.text).not.toContain('canary');
  expect((await send(header, [], await admin('alice', ['user']))).status).toBe(403);
  const logged = world.logged.join('\n');
  for (const secret of [oldKey, good, dead]) expect(logged.includes(secret)).toBe(false);
});
