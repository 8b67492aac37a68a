import { randomUUID } from 'node:crypto';
import { join } from 'node:path';

import { costOf, keyOf, openCryptoStore, PAYLOAD, RECORDS } from '../crypto-store-world.ts';
import { load, type Call, type Target } from '../load.ts';
import { SERVICE_WARM_PAIRS, type Case } from '../measure.ts';
import { startOpenBaoPeer } from '../openbao.ts';

const BATCH = 100;
const JSON_TYPE = { 'content-type': 'application/json' };
const plaintext = Buffer.from(PAYLOAD).toString('base64');

const post = (path: string, body: unknown): Call => ({
  method: 'POST',
  path,
  headers: JSON_TYPE,
  body: JSON.stringify(body),
});
const many = <T>(make: (at: number) => T): T[] => Array.from({ length: BATCH }, (_, at) => make(at));
const nth = (sealed: readonly string[], n: number): string => sealed[n % sealed.length] ?? '';

/** More messages than either side keeps the keys of: each is opened anew. */
const MESSAGES = 6_000;

/** One operation on both sides: the n-th request. What decrypts is first given {@link MESSAGES} of each side's own. */
type Operation = {
  ours: (n: number, sealed: readonly string[]) => Call;
  peer: (n: number, sealed: readonly string[]) => Call;
  /** Items in a request, all of which count. */
  items?: number;
};

const context = { subject: randomUUID() };
const associated_data = Buffer.from(JSON.stringify(context)).toString('base64');

const operations = {
  read: {
    ours: (n) => ({ method: 'GET', path: `/retrieve/${keyOf(n)}` }),
    peer: (n) => ({ method: 'GET', path: `/v1/secret/data/${keyOf(n)}` }),
  },
  write: {
    ours: (n) => ({
      method: 'PUT',
      path: `/v1/records/${keyOf(n)}`,
      headers: { 'content-type': 'text/plain' },
      body: PAYLOAD,
    }),
    peer: (n) => post(`/v1/secret/data/${keyOf(n)}`, { data: { payload: PAYLOAD } }),
  },
  // Contexts are all different where they are chosen: at sealing. Opening asks with the one that was sealed under.
  encrypt: {
    ours: () => post('/v1/encrypt', { plaintext, context: { subject: randomUUID() } }),
    peer: () => post('/v1/transit/encrypt/bench', { plaintext, associated_data: freshData() }),
  },
  decrypt: {
    ours: (n, sealed) => post('/v1/decrypt', { ciphertext: nth(sealed, n), context }),
    peer: (n, sealed) => post('/v1/transit/decrypt/bench', { ciphertext: nth(sealed, n), associated_data }),
  },
  'encrypt-batch': {
    ours: () => post('/v1/encrypt/batch', { items: many(() => ({ plaintext, context: { subject: randomUUID() } })) }),
    peer: () =>
      post('/v1/transit/encrypt/bench', {
        batch_input: many(() => ({ plaintext, associated_data: freshData() })),
      }),
    items: BATCH,
  },
  'decrypt-batch': {
    ours: (n, sealed) =>
      post('/v1/decrypt/batch', { items: many((at) => ({ ciphertext: nth(sealed, n * BATCH + at), context })) }),
    peer: (n, sealed) =>
      post('/v1/transit/decrypt/bench', {
        batch_input: many((at) => ({ ciphertext: nth(sealed, n * BATCH + at), associated_data })),
      }),
    items: BATCH,
  },
} satisfies Record<string, Operation>;

const freshData = (): string => Buffer.from(randomUUID()).toString('base64');

type Compared = { operation: keyof typeof operations; token?: 'policy' | 'root'; p99?: boolean; goal: Case['goal'] };

/** Our service with strict audit against OpenBao with raft and its file audit device; the same client and connections. */
function against({ operation, token = 'policy', p99 = false, goal }: Compared): Case {
  const { ours, peer, items = 1 }: Operation = operations[operation];
  const suffix = [...(token === 'root' ? ['root'] : []), ...(p99 ? ['p99'] : [])].map((word) => `-${word}`).join('');
  return {
    name: `crypto-store/${operation}${suffix}`,
    unit: p99 ? 'ms, slowest of a hundred' : `${items === 1 ? 'requests' : 'items'} per CPU second of all processes`,
    against: `OpenBao ${operation.includes('crypt') ? 'transit' : 'KV v2'}, ${token} token, raft, file audit`,
    goal,
    warmPairs: SERVICE_WARM_PAIRS,
    async prepare() {
      const world = await openCryptoStore();
      const bao = await startOpenBaoPeer(
        join(world.home, 'openbao'),
        world.stack.state.certificates['crypto-store'],
        world.tls,
      );
      const headers = { 'x-vault-token': bao.tokens[token] };
      const theirs = (call: (n: number) => Call): Target => ({
        url: bao.url,
        tls: bao.tls,
        call: (n) => {
          const made = call(n);
          return { ...made, headers: { ...made.headers, ...headers } };
        },
      });
      await load(
        theirs((n) => operations.write.peer(n)),
        { callers: 10, requests: RECORDS },
      );
      const opens = operation.startsWith('decrypt');
      const sealed = {
        ours: opens ? await sealedBy(world.target(() => post('/v1/encrypt', { plaintext, context }))) : [],
        peer: opens
          ? await sealedBy(theirs(() => post('/v1/transit/encrypt/bench', { plaintext, associated_data })))
          : [],
      };
      const measured = async (target: Target, pids: number[]) => {
        if (p99) return (await load(target)).p99Ms;
        return (await costOf(target, pids)).perCpuSecond * items;
      };
      return {
        ours: () =>
          measured(
            world.target((n) => ours(n, sealed.ours)),
            world.pids,
          ),
        peer: () =>
          measured(
            theirs((n) => peer(n, sealed.peer)),
            [bao.pid],
          ),
        async close() {
          await bao.close();
          await world.close();
        },
      };
    },
  };
}

/** The ciphertexts in the answers of either side. */
async function sealedBy(target: Target): Promise<string[]> {
  const { bodies } = await load(target, { callers: 10, requests: MESSAGES, keep: true });
  return bodies.map((answer) => {
    const { ciphertext, data } = JSON.parse(answer) as { ciphertext?: string; data?: { ciphertext: string } };
    return ciphertext ?? data?.ciphertext ?? '';
  });
}

/** What users of either do all day; and how the slowest of a hundred fare. A root token is no way to run OpenBao: it is printed for who compares. */
export const openBaoCases: Case[] = [
  against({ operation: 'read', goal: { atLeast: 0.8 } }),
  against({ operation: 'read', token: 'root', goal: { atLeast: 0 } }),
  against({ operation: 'write', goal: { atLeast: 0.8 } }),
  against({ operation: 'encrypt', goal: { atLeast: 0.8 } }),
  against({ operation: 'decrypt', goal: { atLeast: 0.8 } }),
  against({ operation: 'encrypt-batch', goal: { atLeast: 0.6 } }),
  against({ operation: 'decrypt-batch', goal: { atLeast: 0.6 } }),
  against({ operation: 'read', p99: true, goal: { atMost: 1 } }),
  against({ operation: 'write', p99: true, goal: { atMost: 1 } }),
  against({ operation: 'encrypt', p99: true, goal: { atMost: 1 } }),
  against({ operation: 'decrypt', p99: true, goal: { atMost: 1 } }),
];
