import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { request } from 'undici';
import { openWorld, type World } from './world.ts';

let world: World;
let url: string;
let auditor: Awaited<ReturnType<World['caller']>>;
const opened: { destroy(): unknown }[] = [];

beforeAll(async () => {
  world = await openWorld();
  ({ url } = await world.sink());
  auditor = await world.caller();
});
afterAll(async () => {
  for (const body of opened) body.destroy();
  await world?.close();
});

/** Opens a stream; it stands when its first piece is there. */
async function follow(tenant: string) {
  const answer = await request(`${url}/v1/events/stream`, {
    dispatcher: auditor.dispatcher,
    headers: { authorization: `Bearer ${await auditor.token({ tenant })}` },
  });
  const { statusCode: status, headers, body } = answer;
  if (status !== 200) return { status, retryAfter: headers['retry-after'], body: (await body.json()) as object };
  opened.push(body.on('error', () => {}));
  await new Promise((resolve) => body.once('data', resolve));
  return { status, body };
}

test('a tenant that follows its events ten times over leaves room for the others', async () => {
  for (let i = 0; i < 10; i += 1) expect(await follow('acme')).toMatchObject({ status: 200 });
  expect(await follow('acme')).toMatchObject({ status: 429, retryAfter: '5', body: { code: 'too_many_requests' } });
  expect(await follow('globex')).toMatchObject({ status: 200 });
});
