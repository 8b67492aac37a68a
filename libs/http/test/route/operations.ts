import { describe, expect, test } from '@jest/globals';
import { request } from 'undici';
import { SERVICE } from '../service.ts';
import { call, create, service } from './scene.ts';

/** The management listener. */
export function operations(): void {
  describe('operations', () => {
    const get = async (path: string, headers = {}) => {
      const answer = await request(`${service.urls.management}${path}`, { headers });
      return { status: answer.statusCode, headers: answer.headers, text: await answer.body.text() };
    };

    test('health, version and metrics answer on the management listener', async () => {
      expect(JSON.parse((await get('/health')).text)).toEqual({
        status: 'ok',
        checks: { postgres: 'ok', audit: 'ok' },
        took_ms: { postgres: expect.any(Number), audit: expect.any(Number) },
      });
      expect((await get('/health/live')).status).toBe(200);
      expect(JSON.parse((await get('/version')).text)).toMatchObject({ service: SERVICE, profile: 'fedramp-moderate' });
      const { text } = await get('/metrics');
      expect(text).toContain('route="/things/:id",status="200"');
    });

    test('the newest traced request of each duration is its exemplar, for a scraper that takes it; one that is not sampled is none', async () => {
      const { id } = await create();
      const traced = (trace: string, flags: string) =>
        call(`/things/${String(id)}`, {
          headers: { traceparent: `00-${trace.repeat(16)}-${'b2'.repeat(8)}-${flags}` },
        });
      await traced('c3', '01');
      await traced('d4', '00');
      const accept = 'application/openmetrics-text;version=1.0.0,text/plain;q=0.5';
      const { text, headers } = await get('/metrics', { accept });
      expect(headers['content-type']).toMatch(/^application\/openmetrics-text; version=1\.0\.0/);
      const exemplars = text.match(/^http_server_request_duration_seconds_bucket\{.*route="\/things\/:id".* # .*$/gm);
      expect(exemplars?.join('\n')).toMatch(/ # \{trace_id="(c3){16}"\} [\d.]+ [\d.]+$/m);
      expect(text).not.toContain('d4'.repeat(16));
      expect((await get('/metrics')).text).not.toContain('trace_id');
    });

    test('the OpenAPI document is 3.1, made from the declarations', async () => {
      const document = JSON.parse((await get('/openapi.json')).text) as {
        openapi: string;
        paths: Record<string, Record<string, Record<string, unknown>>>;
      };
      expect(document.openapi).toBe('3.1.0');
      const read = document.paths['/things/{id}']?.['get'];
      expect(read).toMatchObject({
        summary: 'GET /things/:id',
        description: 'Needs the scope `records:read`. Listener: api. Recorded as `record.read`.',
        tags: ['Things'],
        'x-scope': 'records:read',
        security: [{ mutualTls: [], token: ['records:read'] }],
        parameters: [{ name: 'id', in: 'path', required: true, schema: { type: 'string', format: 'uuid' } }],
      });
      expect(Object.keys(read?.['responses'] as object)).toEqual(['200', '400', '401', '403', '404', '500', '503']);
      expect(Object.keys(document.paths)).not.toContain('/health');
      expect(read?.['responses']).toMatchObject({
        404: {
          description: '`thing_not_found`: There is no such thing',
          content: {
            'application/problem+json': {
              examples: { thing_not_found: { $ref: '#/components/examples/thing_not_found' } },
            },
          },
        },
      });
      // Where a certificate is asked for on one of two listeners, a caller has the choice.
      expect(document.paths['/token']?.['post']?.['security']).toEqual([{ mutualTls: [] }, {}]);
    });

    test('what the OpenAPI document refers to is in it, and no two operations have one name', async () => {
      const { text } = await get('/openapi.json');
      const document = JSON.parse(text) as { paths: Record<string, Record<string, { operationId: string }>> };
      const at = (pointer: string) =>
        pointer
          .split('/')
          .slice(1)
          .reduce<unknown>((part, name) => (part as Record<string, unknown> | undefined)?.[name], document);
      const pointers = [...new Set(text.match(/#\/[^"]+/g))];
      expect(pointers).toContain('#/components/schemas/Problem');
      expect(pointers.filter((pointer) => at(pointer) === undefined)).toEqual([]);
      const names = Object.values(document.paths).flatMap((methods) =>
        Object.values(methods).map(({ operationId }) => operationId),
      );
      expect(new Set(names).size).toBe(names.length);
    });

    test('the API reference loads nothing from elsewhere', async () => {
      const page = await get('/docs');
      expect(page.text).not.toMatch(/https?:\/\//);
      expect(page.text).toContain('"showDeveloperTools":"never"');
      expect(page.headers['content-security-policy']).toContain("script-src 'self'");
      const script = await get('/docs/scalar.js');
      expect([script.status, script.headers['content-type']]).toEqual([200, 'text/javascript; charset=utf-8']);
      expect(script.text.length).toBeGreaterThan(100_000);
    });
  });
}
