import { afterAll, beforeAll, expect, test } from '@jest/globals';
import supertest from 'supertest';
import { openWorld, type Replica, type World } from './crypto-store.ts';

let world: World;
let replica: Replica;

beforeAll(async () => {
  world = await openWorld();
  replica = await world.replica();
});

afterAll(() => world.close());

test('an operator’s listener answers health, version, metrics and documents, each part of readiness named with its time', async () => {
  const operator = supertest(replica.urls.management);
  await operator.get('/health/live').expect(200);
  const ready = await operator.get('/health/ready').expect(200);
  expect(JSON.stringify(ready.body)).toMatch(/postgres.*audit|audit.*postgres/);
  await operator.get('/version').expect(200);
  const metrics = await operator.get('/metrics').expect(200);
  expect(metrics.text).toContain('http_server_request_duration_seconds');
  const { body } = await operator.get('/openapi.json').expect(200);
  expect(Object.keys((body as { paths: object }).paths)).toEqual(expect.arrayContaining(['/store', '/retrieve/{key}']));
  const docs = await operator.get('/docs').expect(200);
  expect(docs.text).not.toMatch(/https:\/\/cdn/);
});

test('the operator’s listener has no route of the service, and the api listener no metrics', async () => {
  await supertest(replica.urls.management).get('/retrieve/any').expect(404);
  const { cert, key, ca } = await world.postgres.authority.issue('job');
  await supertest(replica.url).get('/health').ca(ca).cert(cert).key(key).expect(200);
  await supertest(replica.url).get('/metrics').ca(ca).cert(cert).key(key).expect(404);
});

test('without a client certificate the api listener does not even say who it is', async () => {
  const ca = await world.postgres.authority.certificate();
  await expect(supertest(replica.url).get('/health').ca(ca)).rejects.toThrow();
});
