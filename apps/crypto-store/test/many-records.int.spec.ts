import { createHash, randomBytes, randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { newKey, openRecords, type Records } from './records-world.ts';

let world: Records['world'];
let one: Records['one'];
let two: Records['two'];
let job: Records['job'];
let portal: Records['portal'];
let sql: Records['sql'];
let remove: Records['remove'];
let versionsOf: Records['versionsOf'];
let lastEvent: Records['lastEvent'];

beforeAll(async () => {
  ({ world, one, two, job, portal, sql, remove, versionsOf, lastEvent } = await openRecords());
});

afterAll(() => world.close());

test('a list has every key with its prefix once, whatever the page size, and nobody else’s; keys stand nowhere in clear', async () => {
  const root = `list-${randomBytes(4).toString('hex')}`;
  const keys = [`${root}/a`, `${root}/a/`, `${root}/b/1`, `${root}/b/2`, `${root}/b/c/3`, `${root}b`, `${root}/é`];
  for (const key of keys) await job.put(one.url, key, 'x');
  await portal.put(one.url, `${root}/b/portal`, 'x');
  await job.put(one.url, `${root}/gone`, 'x');
  await remove(`${root}/gone`);
  const walk = async (prefix: string, limit: number, more = '') => {
    const found: string[] = [];
    for (let cursor = ''; ;) {
      const query = `?prefix=${encodeURIComponent(prefix)}&limit=${limit}${cursor && `&cursor=${cursor}`}${more}`;
      const { status, body } = await job.send(`${two.url}/v1/records${query}`);
      expect(status).toBe(200);
      found.push(...(body['records'] as { key: string }[]).map(({ key }) => key));
      if (body['next'] === null) return found.toSorted();
      cursor = String(body['next']);
    }
  };
  for (const limit of [1, 2, 100]) {
    expect(await walk(root, limit)).toEqual(keys.toSorted());
    expect(await walk(`${root}/b/`, limit)).toEqual(keys.filter((key) => key.startsWith(`${root}/b/`)).toSorted());
    expect(await walk(`${root}/b/c`, limit)).toEqual([`${root}/b/c/3`]);
    expect(await walk(`${root}/a/`, limit)).toEqual([`${root}/a/`]);
    expect(await walk(`${root}/none/`, limit)).toEqual([]);
  }
  expect(await walk(`${root}/g`, 100, '&deleted=true')).toEqual([`${root}/gone`]);
  const { rows } = await sql('select r::text as text from records r');
  expect(rows.some(({ text }: { text: string }) => text.includes(Buffer.from(root).toString('hex')))).toBe(false);
  expect(await lastEvent()).toMatchObject({ action: 'record.listed' });
  for (const query of ['?cursor=x', '?cursor=IiI', '?limit=0', '?limit=201', '?deleted=perhaps', '?prefix=%00'])
    expect((await job.send(`${one.url}/v1/records${query}`)).status).toBe(400);
});

test('a batch does what it can, in order, and says of each item what became of it; each is an event', async () => {
  const [a, b] = [newKey(), newKey()];
  await job.put(one.url, b, Buffer.from([255]));
  const before = (await sql('select count(*)::int as n from audit_outbox')).rows[0].n as number;
  const operations = [
    { op: 'put', key: a, payload: { text: 'ä' }, metadata: { m: '1' }, if_none_match: '*' },
    { op: 'put', key: a, payload: { text: 'again' }, if_none_match: '*' },
    { op: 'get', key: a },
    { op: 'get', key: b },
    { op: 'get', key: newKey() },
    { op: 'put', key: b, payload: { text: '{' }, type: 'application/json' },
    { op: 'put', key: b, payload: { base64: 'AAE=' } },
    { op: 'get', key: b, version: 2 },
    { op: 'delete', key: a },
    { op: 'get', key: a },
  ];
  const { status, body } = await job.send(`${one.url}/v1/record-batches`, { method: 'POST', body: { operations } });
  expect(status).toBe(200);
  expect(body['results']).toMatchObject([
    { key: a, status: 201, version: 1 },
    { key: a, status: 412, code: 'precondition_failed' },
    { key: a, status: 200, payload: { text: 'ä' }, metadata: { m: '1' }, type: 'text/plain; charset=utf-8' },
    { key: b, status: 200, payload: { base64: '/w==' } },
    { status: 404, code: 'record_not_found' },
    { key: b, status: 400, code: 'malformed_json' },
    { key: b, status: 200, version: 2 },
    { key: b, status: 200, version: 2, payload: { base64: 'AAE=' } },
    { key: a, status: 204 },
    { key: a, status: 404, code: 'record_not_found' },
  ]);
  const after = (await sql('select count(*)::int as n from audit_outbox')).rows[0].n as number;
  expect(after - before).toBe(operations.length + 1);
  expect(await lastEvent()).toMatchObject({ action: 'records.batched', details: { count: 10, failed: 4 } });
});

test('a batch that writes needs the scope of writes; one that is sent again writes nothing twice', async () => {
  const key = newKey();
  const operations = [{ op: 'put', key, payload: { text: 'x' } }];
  const send = (token?: string) =>
    job.send(`${one.url}/v1/record-batches`, {
      method: 'POST',
      body: { operations },
      headers: { 'idempotency-key': key },
      ...(token === undefined ? {} : { token }),
    });
  const refused = await send(await job.token({ scopes: ['records:read'] }));
  expect(refused).toMatchObject({ status: 403, body: { code: 'insufficient_scope' } });
  expect(refused.headers['www-authenticate']).toContain('records:write');
  for (let sent = 0; sent < 2; sent += 1)
    expect((await send()).body['results']).toMatchObject([{ status: 201, version: 1 }]);
  expect(await versionsOf(key)).toEqual([[1, 'live']]);
});

test('an auditor reads what stands in the database as versions and hashes, to hold against the log; nobody else does (R34)', async () => {
  const key = newKey();
  const written = await job.put(one.url, key, 'x');
  const { id } = written.body;
  const write = await lastEvent();
  const token = await job.token({ scopes: ['records:audit'] });
  const exported: Record<string, unknown>[] = [];
  for (let cursor = ''; ;) {
    const { status, body } = await job.send(`${one.url}/v1/record-hashes?limit=7${cursor && `&cursor=${cursor}`}`, {
      token,
    });
    expect(status).toBe(200);
    exported.push(...(body['hashes'] as Record<string, unknown>[]));
    if (body['next'] === null) break;
    cursor = String(body['next']);
  }
  const mine = exported.filter((each) => each['id'] === id);
  const { ciphertextHash } = write['details'] as { ciphertextHash: string };
  expect(mine).toEqual([
    { id, namespace: 'job', version: 1, newest: true, state: 'live', ciphertext_hash: ciphertextHash },
  ]);
  const { rows } = await sql('select count(*)::int as n from record_versions');
  expect(exported.length).toBe(rows[0].n);
  expect(JSON.stringify(exported)).not.toContain(key);
  expect((await job.send(`${one.url}/v1/record-hashes`)).status).toBe(403);

  await sql("update record_versions set sealed = sealed || '\\x00' where record_id = $1", [id]);
  const { rows: stored } = await sql('select sealed from record_versions where record_id = $1', [id]);
  const { body } = await job.send(`${one.url}/v1/record-hashes?limit=500`, { token });
  const changed = (body['hashes'] as Record<string, unknown>[]).find((each) => each['id'] === id);
  expect(changed?.['ciphertext_hash']).toBe(createHash('sha256').update(stored[0].sealed).digest('hex'));
  expect(changed?.['ciphertext_hash']).not.toBe(ciphertextHash);
});

test('writes that meet share a statement: each is its version with its event, at whichever replica, and new ones beside older', async () => {
  const keys = Array.from({ length: 40 }, () => `together/${randomUUID()}`);
  await Promise.all(keys.slice(20).map((key) => job.put(one.url, key, Buffer.from('before'))));
  await sql('delete from audit_groups');
  const answers = await Promise.all(
    keys.map((key, i) => job.put(i % 2 === 0 ? one.url : two.url, key, Buffer.from(`of ${key}`))),
  );
  expect(answers.map(({ status }) => status)).toEqual(keys.map((_, i) => (i < 20 ? 201 : 200)));
  const { rows: events } = await sql('select canonical from audit_outbox');
  const written = events
    .map(
      ({ canonical }) => JSON.parse((canonical as Buffer).toString()) as { action: string; resource: { id: string } },
    )
    .filter(({ action }) => action === 'record.written');
  expect(written.map(({ resource }) => resource.id).sort()).toEqual(answers.map(({ body }) => body['id']).sort());
  const { rows } = await sql('select count(*)::int as count from audit_groups');
  expect(rows[0].count).toBeLessThan(keys.length);
  for (const key of keys) expect((await job.record(one.url, key)).bytes.toString()).toBe(`of ${key}`);
});

test('writers of one record at two replicas take turns: as many versions as answers, none twice, none without its event', async () => {
  const key = newKey();
  const answers = await Promise.all(
    Array.from({ length: 12 }, (_, i) => job.put(i % 2 === 0 ? one.url : two.url, key, Buffer.from(String(i)))),
  );
  const numbers = answers.map(({ body }) => body['version'] as number).sort((a, b) => a - b);
  expect(numbers).toEqual(answers.map((_, i) => i + 1));
  const id = answers[0]?.body['id'];
  const { rows } = await sql(
    `select (convert_from(canonical, 'UTF8')::json -> 'resource' ->> 'version')::int as version from audit_outbox
      where action = 'record.written' and convert_from(canonical, 'UTF8')::json -> 'resource' ->> 'id' = $1 order by 1`,
    [id],
  );
  expect(rows.map(({ version }) => version as number)).toEqual(numbers);
});

test('an Idempotency-Key that two writes take at one instant makes one of them, and spoils no other write of the group', async () => {
  const same = { 'idempotency-key': randomUUID() };
  const put = (headers = {}) => job.put(one.url, newKey(), Buffer.from('x'), headers);
  const answers = await Promise.all([put(), put(same), put(), put(same), put()]);
  const statuses = answers.map(({ status }) => status);
  expect([statuses[0], statuses[2], statuses[4]]).toEqual([201, 201, 201]);
  expect([statuses[1], statuses[3]].sort()).toEqual([201, 422]);
});
