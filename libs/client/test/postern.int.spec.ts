import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { busCa, developmentCa, type Leaf } from '@postern/testing';
import { createPostern, type Postern, PosternError } from '../src/index.ts';
import { type Peer, startPeer, tokenBoundTo } from './peer.ts';

let peer: Peer;
let first: Leaf;
let second: Leaf;
let postern: Postern;
const clock = { now: new Date() };
let identity: Leaf;

beforeAll(async () => {
  const ca = developmentCa();
  [first, second] = await Promise.all([ca.issue('job'), ca.issue('job')]);
  peer = await startPeer(await ca.issue('crypto-store'));
});
afterAll(() => peer.close());

function open(timeoutMs = 60_000): Postern {
  identity = first;
  clock.now = new Date();
  peer.seen.length = 0;
  const url = peer.url;
  const urls = { tokenExchange: url, cryptoStore: url, authManager: url, keyProxy: url };
  postern = createPostern({ tls: () => identity, urls, timeoutMs, now: () => clock.now });
  return postern;
}
afterEach(() => postern.close());

/** Mints like token-exchange: bound to the certificate of the connection. */
function mintOnExchange(lifetimeSeconds = 300): void {
  let minted = 0;
  peer.answer = ({ path, thumbprint }) => {
    if (path !== '/token') return { status: 200, body: { key: 'k', payload: 'p', source: 'db' } };
    const access_token = tokenBoundTo(thumbprint, lifetimeSeconds, `minted-${(minted += 1)}`, clock.now);
    return {
      status: 200,
      body: { access_token, expires_in: lifetimeSeconds, token_type: 'Bearer', scope: 'records:read' },
    };
  };
}

const exchanges = () => peer.seen.filter(({ path }) => path === '/token');
const reads = () => peer.seen.filter(({ path }) => path !== '/token');

test('a subject token is exchanged once for the audience and scope of the call, and used for those that follow', async () => {
  open();
  mintOnExchange();
  const as = { subjectToken: 'subject' };
  expect(await postern.records.retrieve('a/b', as)).toEqual({ key: 'k', payload: 'p', source: 'db' });
  await Promise.all([postern.records.retrieve('x', as), postern.records.retrieve('y', as)]);
  expect(exchanges().map(({ body }) => Object.fromEntries(new URLSearchParams(body)))).toEqual([
    {
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      subject_token: 'subject',
      subject_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      audience: 'crypto-store',
      scope: 'records:read',
    },
  ]);
  expect(reads().map(({ path }) => path)).toEqual(['/retrieve/a%2Fb', '/retrieve/x', '/retrieve/y']);
});

test('calls to a peer share kept connections', async () => {
  open();
  mintOnExchange();
  for (let call = 0; call < 20; call += 1) await postern.records.retrieve('x', { subjectToken: 'subject' });
  // The pool may open a second one while the first is still handing over its answer.
  expect(new Set(peer.seen.map(({ connection }) => connection)).size).toBeLessThanOrEqual(2);
});

test('R12: after a rotation new exchanges use the new certificate, while a token bound to the old one still goes over the old one', async () => {
  open();
  mintOnExchange(3600);
  const heldByCaller = tokenBoundTo(first.thumbprint, 3600, 'held', clock.now);
  await postern.records.retrieve('x', { subjectToken: 'subject' });
  identity = second;
  await postern.records.retrieve('x', { subjectToken: 'subject' });
  await postern.records.retrieve('x', { token: heldByCaller });
  expect(exchanges().map(({ thumbprint }) => thumbprint)).toEqual([first.thumbprint, second.thumbprint]);
  expect(reads().map(({ thumbprint }) => thumbprint)).toEqual([first.thumbprint, second.thumbprint, first.thumbprint]);
});

test('R12: the old certificate is dropped once the last token bound to it has expired', async () => {
  open();
  mintOnExchange();
  const heldByCaller = tokenBoundTo(first.thumbprint, 1800, 'held', clock.now);
  await postern.records.retrieve('x', { token: heldByCaller });
  identity = second;
  await postern.records.retrieve('x', { subjectToken: 'subject' });
  clock.now = new Date(clock.now.getTime() + 1801_000);
  await postern.records.retrieve('x', { subjectToken: 'subject' });
  await postern.records.retrieve('x', { token: heldByCaller });
  expect(reads().at(-1)?.thumbprint).toBe(second.thumbprint);
});

test('one caller who gives up does not end the exchange that another waits for', async () => {
  open();
  mintOnExchange();
  const impatient = AbortSignal.abort();
  const asked = { subjectToken: 'subject', audience: 'crypto-store', scopes: ['records:read'] };
  const [gaveUp, waited] = await Promise.allSettled([
    postern.exchange({ ...asked, signal: impatient }),
    postern.exchange(asked),
  ]);
  expect(gaveUp).toMatchObject({ status: 'rejected', reason: { code: 'aborted' } });
  expect(waited.status).toBe('fulfilled');
  expect(exchanges()).toHaveLength(1);
});

test('a read is sent again when the peer closes the connection under it; a write is not', async () => {
  open();
  let refused = 0;
  peer.answer = () =>
    (refused += 1) % 2 === 1 ? 'hang up' : { status: 200, body: { key: 'k', payload: 'p', source: 'db' } };
  await postern.records.retrieve('x', { token: 'token' });
  expect(peer.seen).toHaveLength(2);
  await expect(postern.records.store({ key: 'k', payload: 'p' }, { token: 'token' })).rejects.toMatchObject({
    code: 'unreachable',
  });
  expect(peer.seen).toHaveLength(3);
});

test('a peer that does not answer is given up after the time-out, and told apart from an aborted call', async () => {
  open(200);
  peer.answer = () => 'stall';
  await expect(postern.records.retrieve('x', { token: 'token' })).rejects.toMatchObject({
    code: 'timed_out',
    service: 'crypto-store',
  });
  const stop = new AbortController();
  const call = postern.records.retrieve('x', { token: 'token', signal: stop.signal, timeoutMs: 60_000 });
  stop.abort();
  await expect(call).rejects.toMatchObject({ code: 'aborted' });
});

test('no error holds a token or what was sent, whatever fails', async () => {
  open();
  const canary = 'canary-7f3a';
  const outcomes: unknown[] = [];
  for (const reply of [
    { status: 403, body: { code: 'insufficient_scope' } },
    { status: 502, body: 'oops' },
    { status: 200, body: { status: 'stored' } },
    'hang up' as const,
    'stall' as const,
  ]) {
    peer.answer = () => reply;
    const as = { token: canary, ...(reply === 'stall' && { timeoutMs: 200 }) };
    outcomes.push(await postern.records.store({ key: canary, payload: canary }, as).catch((error: unknown) => error));
  }
  outcomes.push(await postern.audit.events({}, { token: canary }).catch((error: unknown) => error));
  expect(outcomes.map((error) => (error as PosternError).code)).toEqual([
    'insufficient_scope',
    'unexpected_answer',
    'unexpected_answer',
    'unreachable',
    'timed_out',
    'not_configured',
  ]);
  for (const error of outcomes) {
    expect(error).toBeInstanceOf(PosternError);
    const { message, stack, ...rest } = error as Error;
    expect(JSON.stringify([message, stack, rest, (error as Error).cause])).not.toContain(canary);
  }
});

test('each operation exchanges for its own service and scope, and calls its own route', async () => {
  open();
  const body = {
    ...{
      access_token: 't',
      issued_token_type: 'urn',
      expires_in: 60,
      scope: '',
      id: 'i',
      consent_url: 'u',
      state: 's',
    },
    ...{
      key: 'k',
      payload: 'p',
      source: 'db',
      name: 'n',
      reference: 'r',
      secrets: [],
      grants: [],
      workload: 'job',
      handles: [],
    },
  };
  peer.answer = () => ({ status: 200, body });
  const handle = { workload: 'job', audiences: ['crypto-store'], scopes: ['records:read'] };
  const asked: string[] = [];
  const operations: ((as: { subjectToken: string }) => Promise<unknown>)[] = [
    (as) => postern.records.store({ key: 'k', payload: 'p' }, as),
    (as) => postern.records.retrieve('k', as),
    (as) => postern.secrets.create({ name: 'n', value: 'v' }, as),
    (as) => postern.secrets.list(as),
    (as) => postern.secrets.open(as),
    (as) => postern.grants.startConsent({ scopes: ['a'], handle }, as),
    (as) => postern.grants.consent('i', as),
    (as) => postern.grants.list(as),
    (as) => postern.grants.accessToken('i', as),
    (as) => postern.grants.accessTokenByHandle('h', as),
    (as) => postern.grants.store({ refreshToken: 't', scopes: ['s'] }, as),
    (as) => postern.grants.createHandle('i', { workload: 'job', audiences: ['a'], scopes: ['s'] }, as),
    (as) => postern.grants.handles('i', as),
    (as) => postern.grants.deleteHandle('i', 'h', as),
    (as) => postern.grants.revoke('i', as),
  ];
  for (const [at, operation] of operations.entries()) {
    // Each for another subject, so that no exchange is spared.
    await operation({ subjectToken: `subject-${at}` });
    const exchanged = new URLSearchParams(exchanges().at(-1)?.body);
    const { method, path } = reads().at(-1) ?? {};
    asked.push(`${exchanged.get('audience')} ${exchanged.get('scope')} ${method} ${path}`);
  }
  expect(asked).toEqual([
    'crypto-store records:write POST /store',
    'crypto-store records:read GET /retrieve/k',
    'key-proxy secrets:write POST /create-secret',
    'key-proxy secrets:read GET /get-all-secrets',
    'key-proxy secrets:read GET /get-all-secrets?values=true',
    'auth-manager grants:write POST /v1/consents',
    'auth-manager grants:write GET /v1/consents/i',
    'auth-manager grants:read GET /v1/grants',
    'auth-manager grants:use POST /v1/grants/i/access-token',
    'auth-manager grants:use POST /v1/handles/h/access-token',
    'auth-manager grants:write POST /v1/grants',
    'auth-manager grants:write POST /v1/grants/i/handles',
    'auth-manager grants:read GET /v1/grants/i/handles',
    'auth-manager grants:write DELETE /v1/grants/i/handles/h',
    'auth-manager grants:write DELETE /v1/grants/i',
  ]);
});

test('anchors that change under the same certificate count from the next call on', async () => {
  open();
  const other = await busCa().issue('crypto-store');
  const stranger = await startPeer({ ...other, ca: first.ca });
  stranger.answer = () => ({ status: 200, body: {} });
  const read = () => postern.fetch(`${stranger.url}/x`, { method: 'GET' });
  try {
    await expect(read()).rejects.toMatchObject({ code: 'unreachable' });
    identity = { ...first, ca: first.ca + other.ca };
    expect((await read()).status).toBe(200);
    identity = first;
    await expect(read()).rejects.toMatchObject({ code: 'unreachable' });
  } finally {
    await stranger.close();
  }
});

test('a server that the CA does not vouch for is refused', async () => {
  open();
  const stranger = await startPeer(await busCa().issue('crypto-store'));
  try {
    await expect(postern.fetch(`${stranger.url}/retrieve/x`, { method: 'GET' })).rejects.toMatchObject({
      code: 'unreachable',
    });
  } finally {
    await stranger.close();
  }
});
