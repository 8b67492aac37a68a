import { Readable } from 'node:stream';
import { describe, expect, test } from '@jest/globals';
import { request } from 'undici';
import { walkRoutes } from '../../src/walk-routes.ts';
import { routesOn } from '../../src/index.ts';
import { call, job, service } from './scene.ts';

/** Bad input. */
export function badInput(): void {
  describe('bad input', () => {
    test('every route refuses what it must, from its own declaration, and nothing changes', async () => {
      const report = await walkRoutes(service.app, {
        urls: service.urls,
        dispatcher: job,
        anonymous: service.anonymous,
        token: ({ kind, ...rest }) => service.mint({ ...rest, kind: kind === 'right' ? 'postern-access' : 'grant' }),
        params: { id: crypto.randomUUID(), how: 'throws' },
        state: () => service.postgres.query('select count(*) from things'),
      });
      expect(report.failures).toEqual([]);
      expect(report.tried).toBeGreaterThan(80);
    });

    test('a problem names the field and the rule, never the value', async () => {
      const answer = await call('/things', {
        method: 'POST',
        body: { body: 'canary'.repeat(30), extra: 'canary', nested: [{ a: 'canary' }] },
      });
      expect(answer.json()).toMatchObject({
        type: 'urn:postern:problem:invalid_input',
        errors: [
          { field: 'body.body', rule: 'too_big' },
          { field: 'body.nested.0.a', rule: 'not_number' },
          { field: 'body.extra', rule: 'unknown_field' },
        ],
      });
      expect(answer.text + service.log.join('')).not.toContain('canary');
    });

    test('OAuth routes answer errors as RFC 6749 says', async () => {
      const form = { 'content-type': 'application/x-www-form-urlencoded' };
      const post = async (body: string) => {
        const answer = await request(`${service.urls.public ?? ''}/token`, {
          dispatcher: service.anonymous,
          method: 'POST',
          headers: form,
          body,
        });
        return [answer.statusCode, await answer.body.json()];
      };
      expect(await post('token=bad')).toEqual([
        400,
        { error: 'invalid_grant', error_description: 'The grant is not accepted' },
      ]);
      expect(await post('token=a&token=b')).toMatchObject([
        400,
        { error: 'invalid_request', error_description: expect.stringContaining('token: not_string') },
      ]);
      expect(await post('token=a&audience=x&audience=y')).toEqual([200, { revoked: true }]);
    });

    test('R17: the public listener answers its list of routes and nothing else', async () => {
      expect(routesOn(service.app, 'public')).toEqual(['GET /page', 'POST /token']);
      const answer = await call(`${service.urls.public ?? ''}/things/${crypto.randomUUID()}`, {
        dispatcher: service.anonymous,
        token: null,
      });
      expect([answer.status, answer.json()['code']]).toEqual([404, 'route_not_found']);
    });

    test('a body that comes in very many pieces is read whole', async () => {
      async function* pieces(text: string) {
        for (let at = 0; at < text.length; at += 13) yield text.slice(at, at + 13);
      }
      const send = async (text: string) => {
        const answer = await request(`${service.urls.api}/things`, {
          dispatcher: job,
          method: 'POST',
          headers: {
            authorization: `Bearer ${await service.mint({ scopes: ['records:write'] })}`,
            'content-type': 'application/json',
          },
          body: Readable.from(pieces(text)),
        });
        return [answer.statusCode, ((await answer.body.json()) as { body?: string }).body];
      };
      const spaced = (bytes: number) => `{"body":"a thing"${' '.repeat(bytes)}}`;
      expect(await send(spaced(20_000))).toEqual([201, 'a thing']);
    });

    test('broken percent-encoding and NUL in a path are 400', async () => {
      expect((await call('/things/%E0%A4%A')).status).toBe(400);
      expect((await call('/broken/%00')).status).toBe(400);
    });

    test('half of a surrogate pair is 400: it would be kept as another text', async () => {
      const post = async (text: string) => {
        const answer = await request(`${service.urls.api}/things`, {
          dispatcher: job,
          method: 'POST',
          headers: {
            authorization: `Bearer ${await service.mint({ scopes: ['records:write'] })}`,
            'content-type': 'application/json',
          },
          body: text,
        });
        return [answer.statusCode, await answer.body.json()];
      };
      const refused = (field: string) => [400, { code: 'invalid_input', errors: [{ field, rule: 'not_unicode' }] }];
      expect(await post('{"body":"a\\ud800b"}')).toMatchObject(refused('body.body'));
      expect(await post('{"body":"a","nested":[{"\\udc00":1}]}')).toMatchObject(refused('body.nested.0.*'));
      expect(await post('{"body":"a\\ud83d\\ude00b"}')).toMatchObject([201, { body: 'a😀b' }]);
    });

    test('NUL in a text that Postgres is to keep is 400, and nothing is kept', async () => {
      const count = async () => (await service.postgres.query('select 1 from things')).length;
      const before = await count();
      const answer = await call('/things', { method: 'POST', body: { body: 'a\0b' } });
      expect([answer.status, answer.json()['errors']]).toEqual([400, [{ field: 'body', rule: 'no_nul' }]]);
      expect(await count()).toBe(before);
    });
  });
}
