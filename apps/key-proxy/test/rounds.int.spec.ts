import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { request } from 'undici';
import { type Caller } from './caller.ts';
import { openWorld, type World } from './world.ts';

let world: World;
let portal: Caller;

beforeAll(async () => {
  world = await openWorld({ env: { POSTERN_ROLE: 'all' } });
  portal = await world.caller('portal');
}, 120_000);
afterAll(() => world.close());

/** What the worker half reports of abandoned writes. */
async function abandoned(): Promise<string | undefined> {
  const { body } = await request(`${world.urls.management}/metrics`);
  return /^key_proxy_abandoned_writes\{?[^ ]* (\d+)$/m.exec(await body.text())?.[1];
}

test('the worker half runs beside the api half: its rounds report, and nobody who logs in notices', async () => {
  const body = { email: 'nobody@foods.example', password: 'a wrong password' };
  expect((await portal.send('POST', `${world.url}/login`, { body })).status).toBe(401);
  expect(await abandoned()).toBe('0');
});
