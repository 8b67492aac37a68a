import { randomUUID } from 'node:crypto';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { request } from 'undici';
import { openWorld, until, type World } from './world.ts';

let world: World;
let url: string;
let listener: Awaited<ReturnType<World['caller']>>;

const ISSUER = 'https://keycloak.example/realms/acme';

beforeAll(async () => {
  world = await openWorld();
  const keycloak = { realms: [{ issuer: ISSUER, tenant: 'acme' }], pushers: ['identity-provider'] };
  ({ url } = await world.sink(await world.documents({ sources: { keycloak } })));
  listener = await world.caller('identity-provider');
});
afterAll(async () => {
  await world?.close();
});

async function push(body: object) {
  const answer = await request(`${url}/v1/sources/keycloak/events`, {
    dispatcher: listener.dispatcher,
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(body),
  });
  return { status: answer.statusCode, body: (await answer.body.json()) as Record<string, unknown> };
}

const login = (over: object) => ({
  id: randomUUID(),
  timestamp: new Date().toISOString(),
  event_type: 'LOGIN',
  realm: 'acme',
  success: true,
  ...over,
});

test.each([
  ['username', { username: 'al\ud83dice', user_id: 'u-1' }],
  ['session_id', { session_id: 's\u00001' }],
  ['details.scope', { details: { scope: 'openid \udc00' } }],
])('text that nothing can store or sign is refused by name: %s', async (field, over) => {
  expect(await push({ events: [login(over)] })).toMatchObject({
    status: 400,
    body: { errors: [{ field: `body.events.0.${field}` }] },
  });
});

test('a path that is cut to what is kept is not cut through a character', async () => {
  const path = `roles/${'r'.repeat(505)}\u{1f511}/users`;
  const event = {
    id: randomUUID(),
    timestamp: new Date().toISOString(),
    realm: 'acme',
    operation_type: 'UPDATE',
    resource_type: 'REALM_ROLE',
    resource_path: path,
  };
  expect(await push({ admin_events: [event] })).toMatchObject({ status: 200, body: { added: 1 } });
  const held = `select resource from log_every_event where action = 'identity.admin_event'`;
  await until(async () => (await world.log.query(held)).length === 1, 'it is in the log');
  expect(await world.log.query(held)).toEqual([{ resource: `realm_role:${path.slice(0, 511)}\ufffd` }]);
});
