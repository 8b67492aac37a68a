import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { decodeJwt, decodeProtectedHeader } from 'jose';
import { openWorld, type Caller, type World } from './token-exchange.ts';

const MINUTE = 60_000;
let world: World;
let portal: Caller;
let job: Caller;

beforeAll(async () => {
  world = await openWorld();
  [portal, job] = await Promise.all([world.caller('portal'), world.caller('job')]);
});
afterAll(() => world.close());

/** Alice's token as it would be issued at the service's time. */
const alice = (at = 0) => {
  const iat = Math.floor((Date.now() + at) / 1000);
  return world.realm.mint({
    audience: 'token-exchange',
    clientId: 'portal',
    roles: ['user'],
    boundTo: portal.thumbprint,
    claims: { iat, exp: iat + 300 },
  });
};
const asked = (token: string) => portal.exchange(token, 'auth-manager', 'grants:read');

test('the realm signs with a new key under load: no subject is refused', async () => {
  expect((await asked(await alice())).status).toBe(200);
  await world.realm.rotate();
  // What the realm published long before (R13) the service has read again by now.
  world.skew(MINUTE);
  const replies = await Promise.all(Array.from({ length: 40 }, async () => asked(await alice(MINUTE))));
  expect(new Set(replies.map(({ status }) => status))).toEqual(new Set([200]));
});

test('this service changes its own key: tokens under either are subjects, and no moment refuses one', async () => {
  const grant = (at: number) => {
    const iat = Math.floor((Date.now() + at) / 1000);
    const claims = { iat, exp: iat + 300 };
    const who = { clientId: 'job', actors: ['job'], boundTo: job.thumbprint, scopes: ['records:read'] };
    return world.grants.mint({ kind: 'grant', audience: 'token-exchange', ...who, claims });
  };
  await world.service.issuer.rotate();
  const kids = new Set<unknown>();
  for (let at = MINUTE; at < 40 * MINUTE; at += 4 * MINUTE) {
    world.skew(at);
    const first = await job.exchange(await grant(at), 'crypto-store', 'records:read');
    expect(first.status).toBe(200);
    const token = String(first.body['access_token']);
    kids.add(decodeProtectedHeader(token).kid);
    const again = await job.exchange(token, 'crypto-store', 'records:read');
    expect(again.status).toBe(200);
    expect(decodeJwt(String(again.body['access_token']))).toMatchObject({ act: { sub: 'job' } });
  }
  expect(kids.size).toBe(2);
});

test('the realm’s keys cannot be read: believed for a while, then 503 and never 400', async () => {
  const from = 60 * MINUTE;
  world.skew(from);
  expect((await asked(await alice(from))).status).toBe(200);
  await world.realm.close();
  for (const minutes of [3, 8, 13]) {
    world.skew(from + minutes * MINUTE);
    expect((await asked(await alice(from + minutes * MINUTE))).status).toBe(200);
  }
  world.skew(from + 16 * MINUTE);
  expect(await asked(await alice(from + 16 * MINUTE))).toMatchObject({
    status: 503,
    body: { error: 'temporarily_unavailable' },
  });
});
