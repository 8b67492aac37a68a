import { createHash, randomUUID } from 'node:crypto';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { type EventReceipt, PosternError, verifyReceipt } from '@postern/client';
import { exportJWK, generateKeyPair, SignJWT } from 'jose';
import { Agent, request } from 'undici';
import { type Caller } from './caller.ts';
import { openWorld, signUpBody, type World } from './world.ts';

let world: World;
let portal: Caller;

beforeAll(async () => {
  world = await openWorld({ others: true, log: true });
  portal = await world.caller('portal');
}, 180_000);
afterAll(() => world.close());

type Line = {
  id: string;
  customer: string | null;
  action: string;
  secret_name: string | null;
  status: string;
  timestamp: string;
  receipt: string;
};

const password = 'a long enough password';
const logIn = (email: string, given = password) =>
  portal.send('POST', `${world.url}/login`, { body: { email, password: given } });

/** The administrator of a new company. */
async function administrator(email: string): Promise<string> {
  expect((await portal.send('POST', `${world.url}/signup`, { body: signUpBody(email) })).status).toBe(201);
  return String((await logIn(email)).body['access_token']);
}
const create = (token: string, secret_name: string) =>
  portal.send('POST', `${world.url}/create-secret`, { token, body: { secret_name, secret_value: 'mail-password' } });
const logs = (token: string, query = '') => portal.send('GET', `${world.url}/audit-logs${query}`, { token });
const linesOf = ({ body }: Awaited<ReturnType<typeof logs>>) => body['audit_logs'] as Line[];

/** The lines once an event that is asked for has reached the log. */
async function linesWith(token: string, wanted: (line: Line) => boolean): Promise<Line[]> {
  for (let n = 0; n < 200; n += 1) {
    const answer = await logs(token, '?limit=200');
    expect(answer).toMatchObject({ status: 200 });
    if (linesOf(answer).some(wanted)) return linesOf(answer);
    await sleep(100);
  }
  throw new Error('the event did not come into the log');
}

test('the walk of the seed is in the log of the own tenant: who, what, which secret, how it ended', async () => {
  const token = await administrator('walk@logs.example');
  await logIn('walk@logs.example', 'a wrong password');
  await create(token, 'smtp');
  await portal.send('GET', `${world.url}/get-all-secrets?values=true`, { token });
  await portal.send('POST', `${world.url}/configure-kms`, {
    token,
    body: { kms_selection: 'crypto-store', kms_credentials: {} },
  });
  const lines = await linesWith(token, ({ action }) => action === 'provider.configured');
  const customer = 'walk@logs.example';
  const seen = lines
    .map(({ action, secret_name, status, customer }) => ({ action, secret_name, status, customer }))
    .filter(({ action }) => action !== 'audit.read');
  expect(seen.toReversed()).toEqual([
    { action: 'account.created', secret_name: null, status: 'success', customer },
    { action: 'login.succeeded', secret_name: null, status: 'success', customer },
    { action: 'login.failed', secret_name: null, status: 'refused', customer },
    { action: 'secret.created', secret_name: 'smtp', status: 'intent', customer },
    { action: 'secret.created', secret_name: 'smtp', status: 'success', customer },
    { action: 'secret.read', secret_name: 'smtp', status: 'success', customer },
    { action: 'secrets.listed', secret_name: null, status: 'success', customer },
    { action: 'provider.configured', secret_name: null, status: 'success', customer },
  ]);
  for (const { timestamp } of lines) expect(Math.abs(Date.parse(timestamp) - Date.now())).toBeLessThan(120_000);
});

test('R8: the log is asked with a token exchanged from the administrator’s own, of the one scope', async () => {
  const token = await administrator('scope@logs.example');
  await logs(token);
  const rows = await world.exchange?.rows<{ event: string }>(
    `select convert_from(canonical, 'utf8') as event from audit_outbox order by id desc limit 1`,
  );
  expect(JSON.parse(rows?.[0]?.event ?? '{}')).toMatchObject({
    action: 'token.exchanged',
    actor: { workload: 'key-proxy' },
    details: { audience: 'audit-sink', scopes: ['audit:read-tenant'] },
  });
});

test('a company sees its own events only, and no receipt of another’s; a token without the role or the scope sees none', async () => {
  const [mine, theirs] = [await administrator('mine@logs.example'), await administrator('theirs@logs.example')];
  await create(theirs, 'theirs');
  const [theirLine] = await linesWith(theirs, ({ secret_name }) => secret_name === 'theirs');
  const own = await linesWith(mine, ({ action }) => action === 'login.succeeded');
  expect(new Set(own.map(({ customer }) => customer))).toEqual(new Set(['mine@logs.example']));
  expect(await portal.send('GET', `${world.url}${theirLine?.receipt}`, { token: mine })).toMatchObject({
    status: 404,
    body: { code: 'event_not_found' },
  });
  for (const [role, scope, code] of [
    ['user', 'secrets:audit', 'role_missing'],
    ['admin', 'secrets:read', 'insufficient_scope'],
  ] as const) {
    const token = await world.token(portal.thumbprint, [scope], { tenant: 'acme', roles: [role] });
    for (const path of ['/audit-logs', theirLine?.receipt])
      expect(await portal.send('GET', `${world.url}${path}`, { token })).toMatchObject({ status: 403, body: { code } });
  }
});

test('each line has a receipt that proves it offline, by the log’s key alone; an altered event is refused', async () => {
  const token = await administrator('receipt@logs.example');
  await create(token, 'proven');
  const lines = await linesWith(token, (line) => line.secret_name === 'proven' && line.status === 'success');
  const line = lines.find(({ status, action }) => action === 'secret.created' && status === 'success');
  const { status, body } = await portal.send('GET', `${world.url}${line?.receipt}`, { token });
  expect(status).toBe(200);
  const key = await request(`${world.sink?.urls.api}/v1/log/key`, { dispatcher: portal.dispatcher });
  const logKey = (await key.body.text()).trim();
  const receipt = body as unknown as EventReceipt;
  expect(verifyReceipt(receipt, { logKey }).event).toMatchObject({ id: line?.id, action: 'secret.created' });
  const altered = { ...receipt, event: { ...receipt.event, outcome: 'refused' } };
  expect(() => verifyReceipt(altered, { logKey })).toThrow(PosternError);
});

test('pages follow each other without a gap or a repetition; a cursor of nobody is refused by name', async () => {
  const token = await administrator('pages@logs.example');
  for (const name of ['a', 'b', 'c']) await create(token, name);
  const all = await linesWith(token, (line) => line.secret_name === 'c' && line.status === 'success');
  const at = all.findIndex((line) => line.secret_name === 'c');
  const ids: string[] = [];
  let before = '';
  for (let n = 0; n < 200 && ids.at(-1) !== all.at(-1)?.id; n += 1) {
    const { status, body } = await logs(token, `?limit=2${before === '' ? '' : `&before=${before}`}`);
    expect(status).toBe(200);
    ids.push(...(body['audit_logs'] as Line[]).map(({ id }) => id));
    before = String(body['next']);
  }
  expect(before).toBe('null');
  // Reading is an event too: what came since stands before these.
  expect(ids.slice(ids.indexOf(all[at]?.id ?? ''))).toEqual(all.slice(at).map(({ id }) => id));
  expect(new Set(ids).size).toBe(ids.length);
  expect(await logs(token, '?before=nonsense')).toMatchObject({
    status: 400,
    body: { code: 'invalid_input', errors: [{ field: 'query.before' }] },
  });
});

test('R17: the same on the public listener, by a token that a DPoP key binds', async () => {
  const browser = new Agent({ connect: { ca: world.ca } });
  const { privateKey, publicKey } = await generateKeyPair('ES256');
  const jwk = await exportJWK(publicKey);
  const send = async (method: 'GET' | 'POST', path: string, { body, token }: { body?: object; token?: string }) => {
    const ath = token === undefined ? {} : { ath: createHash('sha256').update(token).digest('base64url') };
    const dpop = await new SignJWT({ jti: randomUUID(), htm: method, htu: `${world.urls.public}${path}`, ...ath })
      .setProtectedHeader({ alg: 'ES256', typ: 'dpop+jwt', jwk })
      .setIssuedAt()
      .sign(privateKey);
    const answer = await request(`${world.urls.public}${path}`, {
      dispatcher: browser,
      method,
      headers: {
        dpop,
        ...(token === undefined ? {} : { authorization: `DPoP ${token}` }),
        ...(body && { 'content-type': 'application/json' }),
      },
      body: body ? JSON.stringify(body) : null,
    });
    return { status: answer.statusCode, body: (await answer.body.json()) as Record<string, unknown> };
  };
  try {
    const mail = 'public@logs.example';
    const seen = await administrator(mail);
    await linesWith(seen, ({ action }) => action === 'login.succeeded');
    const token = String((await send('POST', '/login', { body: { email: mail, password } })).body['access_token']);
    const { status, body } = await send('GET', '/audit-logs', { token });
    expect({ status, lines: body['audit_logs'] }).toMatchObject({ status: 200 });
    const [line] = (body['audit_logs'] as Line[]).filter(({ action }) => action === 'account.created');
    expect(line).toMatchObject({ customer: mail });
    expect(await send('GET', String(line?.receipt), { token })).toMatchObject({ status: 200 });
  } finally {
    await browser.close();
  }
});

test('while the log does not answer, neither does this route: 503 with Retry-After, and it is well again with the log', async () => {
  const token = await administrator('away@logs.example');
  expect((await logs(token)).status).toBe(200);
  world.sink?.pause();
  try {
    for (const path of ['/audit-logs', '/audit-logs/0b9d4f6e-4b51-4c34-9a43-1f1f7d0a7a11/receipt']) {
      const answer = await portal.send('GET', `${world.url}${path}`, { token });
      expect(answer).toMatchObject({ status: 503, body: { code: 'audit_log_unreachable' } });
      expect(Number(answer.headers['retry-after'])).toBeGreaterThan(0);
    }
    // What is done meanwhile is kept, and comes into the log afterwards.
    expect((await create(token, 'meanwhile')).status).toBe(201);
  } finally {
    world.sink?.resume();
  }
  await linesWith(token, ({ secret_name }) => secret_name === 'meanwhile');
  await world.sink?.kill();
  expect(await logs(token)).toMatchObject({ status: 503, body: { code: 'audit_log_unreachable' } });
});
