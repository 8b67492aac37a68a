import { afterAll, afterEach, beforeAll, expect, test } from '@jest/globals';
import { developmentCa, type Authority, type Leaf } from '@postern/testing';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { createPostern, PosternError, tlsFromFiles, type Job, type Postern } from '../src/index.ts';
import { startPeer, type Peer, type Reply } from './peer.ts';

const TRACE = '00-0af7651916cd43dd8448eb211c80319c-b7ad6b7169203331-01';
let ca: Authority;
let peer: Peer;
let leaf: Leaf;
let folder: string;
let postern: Postern;
let traceparent: string | undefined;

beforeAll(async () => {
  ca = developmentCa();
  folder = await mkdtemp(join(tmpdir(), 'postern-client-'));
  leaf = await ca.issue('job', { into: folder });
  peer = await startPeer(await ca.issue('token-exchange'));
});
afterAll(async () => {
  await peer.close();
  await rm(folder, { recursive: true });
});
afterEach(() => postern.close());

function open(answer: (path: string) => Reply): Postern {
  peer.seen.length = 0;
  peer.answer = ({ path }) => answer(path);
  const urls = { tokenExchange: peer.url, cryptoStore: peer.url };
  const tls = tlsFromFiles(leaf.paths);
  return (postern = createPostern({ tls, urls, traceparent: () => traceparent }));
}
const as = { token: 'a-token' };
const ok = (body: unknown): Reply => ({ status: 200, body });

test('approvals and lineage are asked for where they are, with the scopes’ token, and a refusal keeps its code', async () => {
  open((path) =>
    path.endsWith('/decision')
      ? { status: 403, body: { code: 'approver_refused', detail: 'Nobody approves for themselves' } }
      : ok({ approvals: [], next: null, exchange: {}, ancestors: [], descendants: [] }),
  );
  expect(await postern.approvals.list({ workload: 'job' }, as)).toMatchObject({ approvals: [], next: null });
  await postern.exchanges.lineage('a/b', as);
  await expect(postern.approvals.decide('1', { decision: 'approved', scopes: ['x'] }, as)).rejects.toMatchObject({
    code: 'approver_refused',
    service: 'token-exchange',
  });
  expect(peer.seen.map(({ method, path, body }) => `${method} ${path} ${body}`.trim())).toEqual([
    'GET /v1/approvals?workload=job',
    'GET /v1/exchanges/a%2Fb',
    'POST /v1/approvals/1/decision {"decision":"approved","scopes":["x"]}',
  ]);
});

test('a job is followed: each change once, until it ends; a caller who gives up is told so', async () => {
  const states: [string, number, boolean][] = [
    ['running', 0, false],
    ['running', 0, false],
    ['running', 5, false],
    ['done', 10, true],
  ];
  let looks = 0;
  const job = (): Job => {
    const [state, done, ended] = states[Math.min(looks++, states.length - 1)]!;
    const times = { created_at: '2026-01-01T00:00:00Z', ended_at: ended ? '2026-01-01T00:00:09Z' : null };
    return {
      id: '1',
      kind: 'k',
      state,
      progress: { done, total: 10 },
      result: null,
      reason: null,
      cancel_requested: false,
      ...times,
    };
  };
  open(() => ok(job()));
  const seen: number[] = [];
  for await (const { progress } of postern.jobs.follow({ service: 'crypto-store', id: '1', scope: 'keys:read' }, as)) {
    seen.push(progress.done);
  }
  expect(seen).toEqual([0, 5, 10]);
  expect(looks).toBe(4);

  looks = 0;
  const controller = new AbortController();
  const following = postern.jobs.follow(
    { service: 'crypto-store', id: '1', scope: 'keys:read' },
    { ...as, signal: controller.signal },
  );
  await following.next();
  const next = following.next();
  controller.abort();
  const error = await next.then(
    () => null,
    (thrown: unknown) => thrown,
  );
  expect(error).toBeInstanceOf(PosternError);
  expect((error as PosternError).code).toBe('aborted');
});

test('calls belong to the caller’s trace, and what is no traceparent is not sent', async () => {
  const traces: (string | undefined)[] = [];
  open(() => ok({ approvals: [], next: null }));
  const answer = peer.answer;
  peer.answer = (request) => {
    traces.push(request.traceparent);
    return answer(request);
  };
  for (const value of [
    TRACE,
    undefined,
    'x\r\ninjected: 1',
    TRACE.replace('0af7651916cd43dd8448eb211c80319c', '0'.repeat(32)),
  ]) {
    traceparent = value;
    await postern.approvals.list({}, as);
  }
  traceparent = undefined;
  expect(traces).toEqual([TRACE, undefined, undefined, undefined]);
});

test('R12: a certificate that is replaced in its files is used by the next call, without a restart', async () => {
  open(() => ok({ approvals: [], next: null }));
  await postern.approvals.list({}, as);
  const next = await ca.issue('job', { into: folder });
  await sleep(1_100);
  await postern.approvals.list({}, as);
  expect(peer.seen.map(({ thumbprint }) => thumbprint)).toEqual([leaf.thumbprint, next.thumbprint]);
  expect(() => tlsFromFiles({ cert: 'none', key: 'none', ca: 'none' })()).toThrow('missing_configuration');
});
