import { describe, expect, test } from '@jest/globals';
import { call, create, last, service } from './scene.ts';

/** A route that is declared once. */
export function declared(): void {
  describe('a route that is declared once', () => {
    test('creates and reads, each with its event committed before the answer', async () => {
      const created = await create();
      expect(await last()).toMatchObject({
        action: 'record.written',
        outcome: 'success',
        tenant: 'acme',
        details: { bytes: 7 },
      });
      const read = await call(`/things/${String(created['id'])}`, {
        headers: { 'x-request-id': 'abc-1', traceparent: `00-${'a1'.repeat(16)}-${'b2'.repeat(8)}-01` },
      });
      expect(read.status).toBe(200);
      expect(read.json()).toEqual(created);
      expect(read.headers).toMatchObject({
        'cache-control': 'no-store',
        'x-content-type-options': 'nosniff',
        'x-request-id': 'abc-1',
      });
      expect(await last()).toMatchObject({
        action: 'record.read',
        actor: { person: { sub: 'alice' }, client: 'job', workload: 'job' },
        request: 'abc-1',
        trace: 'a1'.repeat(16),
        source: { address: '127.0.0.1' },
      });
    });

    test('R32: a read that was overtaken before its commit is read again', async () => {
      const { id } = await create('before');
      let reads = 0;
      service.hooks.beforeRelease = async () => {
        reads += 1;
        if (reads === 1)
          await service.postgres.query('update things set version = 2, body = $2 where id = $1', [id, 'after']);
      };
      const read = await call(`/things/${String(id)}`);
      expect([reads, read.json()]).toEqual([2, { id, version: 2, body: 'after' }]);
    });

    test('R32: a read that is overtaken every time is 503 with Retry-After, and releases nothing', async () => {
      const { id } = await create('before');
      service.hooks.beforeRelease = async () => {
        await service.postgres.query('update things set version = version + 1 where id = $1', [id]);
      };
      const read = await call(`/things/${String(id)}`);
      expect([read.status, read.json()['code'], read.headers['retry-after']]).toEqual([503, 'read_stale', '1']);
      expect(read.text).not.toContain('before');
    });

    test('R23: an effect leaves an intent and an outcome', async () => {
      const { id } = await create();
      const deleted = await call(`/things/${String(id)}`, { method: 'DELETE', roles: ['admin'] });
      expect([deleted.status, deleted.text]).toEqual([204, '']);
      const pair = (await service.events()).slice(-2);
      expect(pair.map(({ outcome }) => outcome)).toEqual(['intent', 'success']);
      const again = await call(`/things/${String(id)}`, { method: 'DELETE', roles: ['admin'] });
      expect(again.status).toBe(404);
      expect(
        (await service.events()).slice(-3).map(({ action, outcome, reason }) => [action, outcome, reason]),
      ).toEqual([
        ['record.deleted', 'intent', undefined],
        ['record.deleted', 'failed', 'thing_not_found'],
        ['request.refused', 'refused', 'thing_not_found'],
      ]);
    });

    test('an Idempotency-Key creates once', async () => {
      const headers = { 'idempotency-key': 'one-and-the-same' };
      const [first, second] = [
        await call('/things', { method: 'POST', body: { body: 'x' }, headers }),
        await call('/things', { method: 'POST', body: { body: 'x' }, headers }),
      ];
      expect(first.json()).toEqual(second.json());
    });

    test('a page, a redirect and a stream leave after their events', async () => {
      const publicUrl = service.urls.public ?? '';
      const page = await call(`${publicUrl}/page`, { dispatcher: service.anonymous, token: null });
      expect([page.status, page.text, page.headers['content-type']]).toEqual([
        200,
        '<p>hello</p>',
        'text/html; charset=utf-8',
      ]);
      const redirect = await call(`${publicUrl}/page?to=x`, { dispatcher: service.anonymous, token: null });
      expect([redirect.status, redirect.headers['location'], redirect.headers['set-cookie']]).toEqual([
        303,
        '/elsewhere',
        '__Host-s=1; Secure; Path=/',
      ]);
      expect(await last()).toMatchObject({ action: 'login.succeeded', tenant: null });
      const stream = await call('/stream');
      expect(stream.text).toBe('{"a":1}\n{"a":2}\n');
    });

    test('no answer is committed and then not given: a body that breaks its schema is refused before its event', async () => {
      const before = (await service.events()).filter(({ action }) => action === 'record.read').length;
      const leaks = await call('/broken/leaks');
      expect([leaks.status, leaks.json()['code']]).toEqual([500, 'internal_error']);
      expect(leaks.text).not.toContain('canary');
      expect((await service.events()).filter(({ action }) => action === 'record.read').length).toBe(before);
    });

    test('what was not released for the route does not leave', async () => {
      expect((await call('/broken/open')).status).toBe(500);
    });

    test.each(['40P01', '40001', '55P03'])(
      'a transaction that gave way to another (%s) is 503: try again',
      async (state) => {
        service.hooks.during = async () => {
          await service.postgres.query(`do $$ begin raise exception 'gave way' using errcode = '${state}'; end $$`);
        };
        const answer = await call('/internal/ping', { method: 'POST', token: null });
        expect([answer.status, answer.json()['code'], answer.headers['retry-after']]).toEqual([
          503,
          'unavailable',
          '1',
        ]);
        expect(await last()).toMatchObject({ action: 'request.refused', reason: 'unavailable' });
      },
    );

    test('an unknown error is 500 without its text, in the answer and in the log', async () => {
      const answer = await call('/broken/throws');
      expect([answer.status, answer.json()['title']]).toEqual([500, 'Something went wrong here']);
      expect(answer.text + service.log.join('')).not.toContain('canary');
      expect(await last()).toMatchObject({ action: 'request.refused', outcome: 'failed', reason: 'internal_error' });
    });
  });
}
