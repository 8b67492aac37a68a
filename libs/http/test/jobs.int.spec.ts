import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { cancelJob, startJob } from '@postern/bus';
import { request } from 'undici';
import { z } from 'zod';
import { jobRoutes } from '../src/index.ts';
import { testService, type TestService } from './service.ts';

let service: TestService;
const kind = { version: 1, input: z.strictObject({}) };

beforeAll(async () => {
  const scopes = { read: 'records:read', cancel: 'records:write' };
  service = await testService({ routes: ({ db }) => jobRoutes({ db, scopes }) });
});
afterAll(async () => {
  await service?.close();
});

const start = (tenant = 'acme', owner: string | null = null) =>
  startJob(service.postgres.query, { name: 'records.rewrap', kind, input: {}, tenant, owner });

async function call(method: 'GET' | 'POST', path: string, headers: Record<string, string> = {}, scopes?: string[]) {
  const token = await service.mint({ tenant: 'acme', scopes: scopes ?? ['records:read', 'records:write'] });
  const dispatcher = await service.agentOf('job');
  const answer = await request(`${service.urls.api}${path}`, {
    method,
    dispatcher,
    headers: { authorization: `Bearer ${token}`, ...headers },
  });
  const text = await answer.body.text();
  const isJson = text.startsWith('{');
  return { status: answer.statusCode, text, body: (isJson ? JSON.parse(text) : {}) as Record<string, unknown> };
}

test('a job is shown to its tenant, and its cancelling is recorded before it is told', async () => {
  const id = await start();
  const seen = await call('GET', `/v1/jobs/${id}`);
  expect(seen).toMatchObject({
    status: 200,
    body: { id, kind: 'records.rewrap', state: 'queued', progress: { done: 0, total: null }, cancel_requested: false },
  });
  const cancelled = await call('POST', `/v1/jobs/${id}/cancel`);
  expect(cancelled).toMatchObject({ status: 200, body: { id, state: 'cancelled', cancel_requested: true } });
  const actions = (await service.events()).map(({ action, resource }) => [action, resource]);
  expect(actions).toContainEqual(['job.read', { type: 'job', id }]);
  expect(actions).toContainEqual(['job.cancelled', { type: 'job', id }]);
});

test("another tenant's job and another client's are not there, and the scopes are those of the service", async () => {
  for (const id of [await start('other'), await start('acme', 'someone')]) {
    expect(await call('GET', `/v1/jobs/${id}`)).toMatchObject({ status: 404, body: { code: 'job_not_found' } });
    expect(await call('GET', `/v1/jobs/${id}/events`)).toMatchObject({ status: 404 });
    expect(await call('POST', `/v1/jobs/${id}/cancel`)).toMatchObject({ status: 404 });
  }
  const id = await start();
  expect((await call('POST', `/v1/jobs/${id}/cancel`, {}, ['records:read'])).status).toBe(403);
});

test('the events of a job come as they happen, end with it, and go on after the one seen last', async () => {
  const id = await start();
  const streaming = call('GET', `/v1/jobs/${id}/events`);
  await cancelJob(service.postgres.query, id, { tenant: 'acme', client: 'job' });
  const kinds = (text: string) => [...text.matchAll(/^id: (\d+)\nevent: (\w+)$/gm)].map(([, n, name]) => [n, name]);
  expect(kinds((await streaming).text)).toEqual([
    ['1', 'queued'],
    ['2', 'cancel_requested'],
    ['3', 'cancelled'],
  ]);
  const resumed = await call('GET', `/v1/jobs/${id}/events`, { 'last-event-id': '2' });
  expect(kinds(resumed.text)).toEqual([['3', 'cancelled']]);
  for (const seen of ['3', '999']) {
    const over = await call('GET', `/v1/jobs/${id}/events`, { 'last-event-id': seen });
    expect([over.status, over.text]).toEqual([200, '']);
  }
  expect((await call('GET', `/v1/jobs/${id}/events`, { 'last-event-id': 'x' })).status).toBe(400);
});

test('a client holds eight streams at a replica, and each that ends makes room for another', async () => {
  const [id, other] = [await start(), await start()];
  const dispatcher = await service.agentOf('job');
  const token = await service.mint({ tenant: 'acme', scopes: ['records:read'] });
  const open = (job: string) =>
    request(`${service.urls.api}/v1/jobs/${job}/events`, { dispatcher, headers: { authorization: `Bearer ${token}` } });
  const held = [];
  for (let n = 0; n < 8; n += 1) held.push(await open(id));
  expect(held.map(({ statusCode }) => statusCode)).toEqual(Array.from({ length: 8 }, () => 200));
  const refused = await open(other);
  expect([refused.statusCode, refused.headers['retry-after']]).toEqual([429, '5']);
  expect(await refused.body.json()).toMatchObject({ code: 'too_many_requests' });
  await cancelJob(service.postgres.query, id, { tenant: 'acme', client: 'job' });
  for (const { body } of held) expect(await body.text()).toMatch(/event: cancelled/);
  const again = await open(other);
  expect(again.statusCode).toBe(200);
  again.body.on('error', () => undefined).destroy();
});
