import { run } from '@postern/cli';
import { describeWith, realPart } from '@postern/testing';
import { startOpenBao } from '@postern/testing/openbao';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { openStoreWorld, type Client, type StoreWorld } from '../src/store/store-world.ts';

const openBao = await realPart('OpenBao 2.7', startOpenBao);

describeWith(openBao, 'postern import kv', (bao) => {
  const folder = mkdtempSync(join(tmpdir(), 'postern-kv-'));
  let world: StoreWorld;
  let to: string[];
  let job: Client;

  beforeAll(async () => {
    world = await openStoreWorld();
    const replica = await world.replica({ POSTERN_ROLE: 'api' });
    const identity = await world.postgres.authority.issue('job');
    const scopes = ['records:read', 'records:write'];
    const token = await world.issuer.mint({
      audience: 'crypto-store',
      scopes,
      clientId: 'job',
      actors: ['job'],
      boundTo: identity.thumbprint,
    });
    writeFileSync(join(folder, 'token'), token, { mode: 0o600 });
    writeFileSync(join(folder, 'server-token'), `${bao.rootToken}\n`, { mode: 0o600 });
    const { cert, key, ca } = identity.paths;
    to = ['--to', replica.url, '--cert', cert, '--key', key, '--ca', ca, '--token', 'token'];
    job = await replica.clientOf('job');
  });

  afterAll(async () => {
    await world.close();
    await bao.close();
    rmSync(folder, { recursive: true });
  });

  const put = (path: string, data: object) => bao.call('POST', `secret/data/${path}`, { data });
  const describe = (path: string, metadata: object) => bao.call('POST', `secret/metadata/${path}`, metadata);

  async function importKv(...more: string[]) {
    const out: string[] = [];
    const err: string[] = [];
    const terminal = {
      out: (line: string) => void out.push(line),
      err: (line: string) => void err.push(line),
      input: async () => '',
      folder,
      interactive: false,
      environment: { BAO_ADDR: bao.address },
    };
    const code = await run(['import', 'kv', '--server-token', 'server-token', ...to, '--json', ...more], terminal);
    return { code, err: err.join('\n'), report: JSON.parse(out[0] ?? '{}') as Record<string, unknown>, out };
  }
  const read = (key: string, version?: number) =>
    job.postern.records.get(key, job.as, version === undefined ? {} : { version });

  test('every version that KV can still give is taken, with metadata and settings; the report names the rest', async () => {
    await put('app/db', { password: 'one' });
    await put('app/db', { password: 'two' });
    await put('app/db', { password: 'drei 🗝' });
    await bao.call('PUT', 'secret/destroy/app/db', { versions: [2] });
    await describe('app/db', {
      custom_metadata: { owner: 'Jürgen', 'not a name': 'x' },
      max_versions: 5,
      cas_required: true,
    });
    await put('app', { beside: 'a folder of that name' });
    await put('deleted', { now: 'gone' });
    await put('deleted', { now: 'gone too' });
    await bao.call('DELETE', 'secret/data/deleted');
    await put('large', { value: 'x'.repeat(1 << 20) });

    const dry = await importKv('--dry-run', '--prefix', 'kv/');
    expect(dry.report).toMatchObject({ dryRun: true, written: 4, already: 0 });
    await expect(read('kv/app/db')).rejects.toMatchObject({ code: 'record_not_found' });

    const { code, report } = await importKv('--prefix', 'kv/');
    expect(report).toMatchObject({ written: 4, already: 0, mount: 'secret' });
    expect(code).toBe(1);
    expect(report['notTaken']).toEqual(
      expect.arrayContaining([
        { path: 'app/db', version: 2, reason: 'destroyed', nothing: true },
        { path: 'app/db', reason: 'metadata_not_taken: not a name', nothing: false },
        { path: 'deleted', version: 2, reason: 'deleted', nothing: true },
        { path: 'large', version: 1, reason: 'too_large', nothing: false },
      ]),
    );
    const newest = await read('kv/app/db');
    expect(JSON.parse(newest.text)).toEqual({ password: 'drei 🗝' });
    expect(newest).toMatchObject({
      type: 'application/json',
      metadata: { owner: 'Jürgen', 'kv.version': '3', 'kv.created': expect.stringMatching(/^2\d{3}-/) as unknown },
    });
    expect(JSON.parse((await read('kv/app/db', 1)).text)).toEqual({ password: 'one' });
    expect(await job.postern.records.versions('kv/app/db', job.as)).toMatchObject({
      keep_versions: 5,
      require_match: true,
    });
    expect(JSON.parse((await read('kv/app')).text)).toEqual({ beside: 'a folder of that name' });
    await expect(read('kv/deleted')).rejects.toMatchObject({ code: 'record_not_found' });
    expect(JSON.parse((await read('kv/deleted', 1)).text)).toEqual({ now: 'gone' });
  });

  test('run again it takes only what is new, and what others wrote it leaves alone', async () => {
    const again = await importKv('--prefix', 'kv/');
    expect(again.report).toMatchObject({ written: 0, already: 4 });
    await put('deleted', { now: 'back' });
    await bao.call('POST', 'secret/data/app/db', { data: { password: 'four' }, options: { cas: 3 } });
    await put('theirs', { from: 'KV' });
    await job.postern.records.put('kv/theirs', 'of somebody else', job.as);
    const { code, report } = await importKv('--prefix', 'kv/');
    expect(code).toBe(1);
    expect(report).toMatchObject({ written: 2 });
    expect(report['notTaken']).toContainEqual({ path: 'theirs', reason: 'record_exists', nothing: false });
    expect(JSON.parse((await read('kv/deleted')).text)).toEqual({ now: 'back' });
    expect(JSON.parse((await read('kv/app/db')).text)).toEqual({ password: 'four' });
    expect((await read('kv/theirs')).text).toBe('of somebody else');
  });

  test('cut in the middle, it ends with what is missing and nothing twice', async () => {
    for (let n = 0; n < 6; n += 1) await put('cut/many', { n });
    await importKv('--prefix', 'kv/', '--folder', 'cut');
    // As if the run had ended after the third version.
    await job.postern.records.destroy('kv/cut/many', { all: true }, job.as);
    for (let n = 1; n <= 3; n += 1)
      await job.postern.records.put('kv/cut/many', `{"n":${n - 1}}`, job.as, { metadata: { 'kv.version': `${n}` } });
    const { code, report } = await importKv('--prefix', 'kv/', '--folder', 'cut');
    expect({ code, report }).toMatchObject({ code: 0, report: { paths: 1, written: 3, already: 3, notTaken: [] } });
    const { versions } = await job.postern.records.versions('kv/cut/many', job.as);
    const payloads = await Promise.all(versions.map(({ version }) => read('kv/cut/many', version)));
    expect(payloads.map(({ text }) => (JSON.parse(text) as { n: number }).n)).toEqual([5, 4, 3, 2, 1, 0]);
  });

  test('a secret that the token may list and not read is named, and the others are taken', async () => {
    for (const name of ['a', 'b', 'c']) await put(`partly/${name}`, { name });
    const policy = `path "secret/*" { capabilities = ["read", "list"] }
      path "secret/data/partly/a" { capabilities = ["deny"] }
      path "secret/metadata/partly/b" { capabilities = ["deny"] }`;
    await bao.call('PUT', 'sys/policies/acl/partly', { policy });
    const { auth } = (await bao.call('POST', 'auth/token/create', { policies: ['partly'] })) as {
      auth: { client_token: string };
    };
    writeFileSync(join(folder, 'partly-token'), auth.client_token, { mode: 0o600 });
    const { code, report } = await importKv('--prefix', 'kv/', '--folder', 'partly', '--server-token', 'partly-token');
    expect({ code, report }).toMatchObject({ code: 1, report: { paths: 3, written: 1 } });
    expect(report['notTaken']).toEqual(
      ['a', 'b'].map((name) => ({ path: `partly/${name}`, reason: 'source_refused', nothing: false })),
    );
    expect(JSON.parse((await read('kv/partly/c')).text)).toEqual({ name: 'c' });
  });

  test('a wrong token, address or file is said without what was in it', async () => {
    writeFileSync(join(folder, 'server-token'), 'canary-token');
    const refused = await importKv();
    expect(refused.code).toBe(1);
    expect(refused.err).toContain('answered 403');
    expect(refused.err).not.toContain('canary');
    expect((await importKv('--address', 'http://vault.example')).code).toBe(64);
    expect((await importKv('--address', 'http://127.0.0.1:1')).code).toBe(69);
    expect((await importKv('--token', 'missing')).code).toBe(66);
  });
});
