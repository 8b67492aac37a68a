import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createPostern, type ConsentStep, type ImportLine, type Postern } from '@postern/client';
import type { Caller } from './caller.ts';
import { consented, HANDLE, portalSession, SCOPES, visit } from './consents.ts';
import { oldVault } from './old-vault.ts';
import { openProviderSide, type ProviderSide } from './provider-side.ts';
import { openWorld, PORTAL_PAGE, type Replica, type World } from './world.ts';

// `@postern/client` and `postern import auth-vault` against the service itself.

const cli = fileURLToPath(new URL('../../../infra/cli/src/main.ts', import.meta.url));
const folder = mkdtempSync(join(tmpdir(), 'auth-manager-client-'));
let world: World;
let replica: Replica;
let portal: Caller;
let side: ProviderSide;
let postern: Postern;
let files: { cert: string; key: string; ca: string };
let boundTo: string;

beforeAll(async () => {
  world = await openWorld({ rotation: 'off' });
  replica = await world.replica({ POSTERN_ROLE: 'all' });
  portal = await world.caller('portal');
  side = await openProviderSide(world);
  const leaf = await world.authority.issue('portal');
  files = leaf.paths;
  boundTo = leaf.thumbprint;
  postern = createPostern({ tls: () => leaf, urls: { authManager: replica.api } });
});
afterAll(async () => {
  await postern.close();
  await side.close();
  await world.close();
  rmSync(folder, { recursive: true });
});

const alice = async (...scopes: string[]) => ({ token: await portal.tokenFor('alice', scopes, { boundTo }) });
const started = async () =>
  postern.grants.startConsent(
    { scopes: SCOPES, handle: HANDLE, purpose: 'Monthly report' },
    await alice('grants:write'),
  );

test('a consent is waited for until the person has agreed, and its steps come one by one', async () => {
  const { id, consent_url: url } = await started();
  const as = await alice('grants:write');
  const steps: ConsentStep[] = [];
  const followed = (async () => {
    for await (const step of postern.consents.steps(id, as)) steps.push(step);
  })();
  const waited = postern.consents.wait(id, as);
  const { browser, callback } = await visit(world, url);
  await browser.open(callback.href, 'https://portal.example.com');
  await browser.close();
  const consent = await waited;
  await followed;
  expect(consent).toMatchObject({ id, state: 'completed', purpose: 'Monthly report', scopes: SCOPES, handle: HANDLE });
  expect(steps.map(({ step, consent: { state } }) => [step, state]).at(-1)).toEqual([3, 'completed']);
  expect(steps.map(({ step }) => step)).toEqual([...new Set(steps.map(({ step }) => step))].sort());
  expect(steps.at(-1)?.consent.grant).toBe(consent.grant);
  // Taken up again after the second step there is but the last.
  const rest: number[] = [];
  for await (const { step } of postern.consents.steps(id, { ...as, after: 2 })) rest.push(step);
  expect(rest).toEqual([3]);
});

test('a wait ends when its caller gives up, and says what it cannot find', async () => {
  const { id } = await started();
  const as = await alice('grants:write');
  const stop = AbortSignal.timeout(300);
  await expect(postern.consents.wait(id, { ...as, signal: stop })).rejects.toMatchObject({ code: 'aborted' });
  const unknown = crypto.randomUUID();
  await expect(postern.consents.wait(unknown, as)).rejects.toMatchObject({ code: 'consent_not_found' });
  const steps = postern.consents.steps(unknown, as);
  await expect(steps.next()).rejects.toMatchObject({ code: 'consent_not_found' });
});

test('a person sees their sessions, gets the link that ends one at the provider, and ends one or all', async () => {
  const { browser } = await portalSession(world);
  await browser.close();
  const [one, two] = [await consented(world, portal, replica), await consented(world, portal, replica)];
  const [reads, writes] = [await alice('grants:read'), await alice('grants:write')];
  const sessions = await postern.sessions.list(reads);
  const of = (grant: string) => sessions.find(({ grants }) => grants.some(({ id }) => id === grant))!;
  expect(of(one).grants.find(({ id }) => id === one)).toMatchObject({ kind: 'offline', state: 'active' });
  expect(of(one).provider).toBe(world.provider().issuer);

  const link = await postern.sessions.endSessionLink(of(one).id, { ...reads, returnTo: PORTAL_PAGE });
  expect(new URL(link ?? '').origin).toBe(new URL(world.provider().issuer).origin);
  expect(new URL(link ?? '').searchParams.get('post_logout_redirect_uri')).toContain(PORTAL_PAGE);
  const elsewhere = { ...reads, returnTo: 'https://evil.example' };
  await expect(postern.sessions.endSessionLink(of(one).id, elsewhere)).rejects.toMatchObject({
    code: 'return_not_listed',
  });

  expect(await postern.sessions.end(of(one).id, { ...writes, offline: 'end' })).toMatchObject({ sessions: 1 });
  await expect(postern.sessions.end(of(one).id, writes)).rejects.toMatchObject({ code: 'session_not_found' });
  const left = await postern.sessions.list(reads);
  expect(left.flatMap(({ grants }) => grants.map(({ id }) => id))).not.toContain(one);
  const ended = await postern.sessions.endAll({ ...writes, offline: 'end' });
  expect(ended.sessions).toBe(left.length);
  expect(ended.grants).toBeGreaterThan(0);
  expect(await postern.sessions.list(reads)).toEqual([]);
  const [row] = await world.query<{ state: string }>('select state from grants where id = $1', [two]);
  expect(row?.state ?? 'gone').not.toBe('active');
});

const vault = oldVault();
async function* linesOf(rows: object[]) {
  for (const row of rows) yield JSON.stringify(row);
}

test('an old table is taken over row by row, with a report that ends in its counts', async () => {
  const as = { token: await portal.tokenFor('admin-ada', ['grants:write'], { roles: ['admin'], boundTo }) };
  const rows = [
    vault.row(1, world.subOf('alice'), await side.offlineToken('alice')),
    vault.row(2, world.subOf('audrey'), await side.offlineToken('alice')),
  ];
  const report = async (dryRun: boolean) => {
    const lines: ImportLine[] = [];
    const header = { key: vault.key, scopes: SCOPES, handle: HANDLE, dryRun };
    for await (const line of postern.grantImports.authVault(header, linesOf(rows), as)) lines.push(line);
    return lines;
  };
  expect(await report(true)).toEqual([
    { outcome: 'importable', row: '1' },
    { outcome: 'refused', row: '2', reason: 'other_person' },
    { summary: { imported: 0, importable: 1, already: 0, refused: 1 } },
  ]);
  expect((await report(false)).at(-1)).toEqual({ summary: { imported: 1, importable: 0, already: 0, refused: 1 } });
  expect((await report(false)).at(-1)).toEqual({ summary: { imported: 0, importable: 0, already: 1, refused: 1 } });
});

/** The command as a process: exit code, what it printed, and everything it said on standard error. */
const importAuthVault = (...words: string[]) =>
  new Promise<{ code: number; out: string; err: string }>((resolve) => {
    const { cert, key, ca } = files;
    const to = ['--to', replica.api, '--cert', cert, '--key', key, '--ca', ca, '--token', 'token'];
    const asked = ['--vault-key', 'vault-key', '--workload', 'job', '--audience', 'crypto-store'];
    const scopes = SCOPES.flatMap((scope) => ['--scope', scope]);
    const all = [cli, 'import', 'auth-vault', ...words, ...to, ...asked, ...scopes];
    execFile(process.execPath, all, { cwd: folder }, (error, out, err) =>
      resolve({ code: typeof error?.code === 'number' ? error.code : 0, out, err }),
    );
  });

test('postern import auth-vault: a dry run stores nothing, a run takes what the provider confirms, and says why not of the rest', async () => {
  const token = await side.offlineToken('audrey');
  const admin = await portal.tokenFor('admin-ada', ['grants:write'], { roles: ['admin'], boundTo });
  writeFileSync(join(folder, 'token'), `${admin}\n`, { mode: 0o600 });
  writeFileSync(join(folder, 'vault-key'), `${vault.key}\n`, { mode: 0o600 });
  const rows = [vault.row(11, world.subOf('audrey'), token), vault.row(12, world.subOf('alice'), 'not-a-living-token')];
  writeFileSync(join(folder, 'rows.ndjson'), rows.map((row) => JSON.stringify(row)).join('\n'));
  const many = async () => (await world.query('select id from grants')).length;
  const before = await many();

  const dry = await importAuthVault('rows.ndjson', '--dry-run');
  expect(dry).toMatchObject({
    code: 1,
    out: expect.stringContaining('1 would be imported, 0 were there already, 1 not'),
  });
  expect(dry.out).toContain('not taken  12: not_active');
  expect(await many()).toBe(before);

  const run = await importAuthVault('rows.ndjson', '--json');
  const lines = run.out
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Record<string, unknown>);
  expect(lines.at(-1)).toEqual({ summary: { imported: 1, importable: 0, already: 0, refused: 1 } });
  const [row] = await world.query<{ state: string }>('select state from grants where id = $1', [lines[0]?.['grant']]);
  expect(row?.state).toBe('active');
  expect((await importAuthVault('rows.ndjson')).out).toContain('0 imported, 1 were there already, 1 not taken');

  const absent = await importAuthVault('absent.ndjson');
  expect(absent).toMatchObject({ code: 66, err: expect.stringContaining('absent.ndjson cannot be read') });
  writeFileSync(join(folder, 'vault-key'), 'canary-0123');
  const wrong = await importAuthVault('rows.ndjson');
  expect(wrong).toMatchObject({ code: 64, err: expect.stringContaining('64 hex digits') });
  for (const secret of [vault.key, token, admin, 'canary-0123']) {
    for (const { out, err } of [dry, run, wrong, absent]) expect(`${out}${err}`.includes(secret)).toBe(false);
  }
});
