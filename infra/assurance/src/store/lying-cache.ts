import { PosternError } from '@postern/client';
import { tcpProxy, type TcpProxy } from '@postern/testing';
import { RESP_TYPES } from '@redis/client';
import { randomBytes } from 'node:crypto';
import { setTimeout as delay } from 'node:timers/promises';
import { type Case, type Circumstances, type Findings, type Scale } from '../assess.ts';
import { seeded, type Random } from '../random.ts';
import { openStoreWorld, type Client, type StoreWorld } from './store-world.ts';

/** How many faults strike, and how many reads there are at least. */
const EXTENT: Record<Scale, { faults: number; reads: number }> = {
  small: { faults: 8, reads: 300 },
  default: { faults: 40, reads: 2_500 },
  full: { faults: 2_000, reads: 1_000_000 },
};
const RECORDS = 8;
const READERS = 6;
const BETWEEN_FAULTS_MS = 150;

/**
 * Two replicas, each with its own way to one Redis that stalls, drops connections, is flushed, fails over to an older copy of
 * itself and is written to by somebody else, while records are written and read at both.
 */
export const lyingCache: Case = {
  name: 'crypto-store/lying-cache',
  guarantee: 'no read is older than a write acknowledged before it, and none fails, whatever the cache does (R32)',
  async run(circumstances) {
    const world = await openStoreWorld();
    const ways = await Promise.all([tcpProxy(world.redis.cache.port), tcpProxy(world.redis.cache.port)]);
    try {
      const replicas = await Promise.all(
        ways.map(({ port }) => {
          const url = new URL(world.cacheUrl);
          url.port = String(port);
          return world.replica({ POSTERN_CACHE_URL: url.href, POSTERN_ROLE: 'api' });
        }),
      );
      const clients = await Promise.all(replicas.map((replica) => replica.clientOf('job')));
      return await underFaults(world, { ways, clients, ...circumstances });
    } finally {
      await world.close();
      await Promise.all(ways.map((way) => way.close()));
    }
  },
};

type Trial = Circumstances & { ways: readonly TcpProxy[]; clients: readonly Client[] };

async function underFaults(world: StoreWorld, { ways, clients, scale, seed, say }: Trial): Promise<Findings> {
  const random = seeded(seed);
  const { faults, reads: wanted } = EXTENT[scale];
  const keys = Array.from({ length: RECORDS }, (_, n) => `record-${n}`);
  /** The newest acknowledged content of each record, which counts up. */
  const acknowledged = new Map<string, number>();
  const failed: string[] = [];
  const sources = { cache: 0, db: 0 };
  let reads = 0;
  let over = false;
  const clientFor = (choices: Random): Client => choices.pick(clients)!;

  const write = async (key: string, content: number, choices: Random) => {
    const { postern, as } = clientFor(choices);
    await postern.records.put(key, String(content), as);
    acknowledged.set(key, content);
  };
  const attempt = async (what: string, act: () => Promise<void>) => {
    try {
      await act();
    } catch (error) {
      failed.push(`${what}: ${error instanceof PosternError ? error.code : String(error)}`);
    }
  };
  for (const key of keys) await write(key, 1, random);

  // One writer a record, so that what is acknowledged is in order.
  const writers = keys.map(async (key) => {
    const choices = random.fork();
    for (let content = 2; !over; content += 1) {
      await attempt('a write failed', () => write(key, content, choices));
      await delay(choices.between(0, 30));
    }
  });
  const readers = Array.from({ length: READERS }, async () => {
    const choices = random.fork();
    while (!over) {
      const key = choices.pick(keys)!;
      const { postern, as } = clientFor(choices);
      const least = acknowledged.get(key) ?? 0;
      await attempt('a read failed', async () => {
        const { text, source } = await postern.records.get(key, as);
        reads += 1;
        sources[source] += 1;
        if (Number(text) < least) failed.push(`${key} was ${text} after ${least} was acknowledged`);
      });
    }
  });

  const strikes = faultsOf(world, ways);
  for (let struck = 0; struck < faults || reads < wanted; struck += 1) {
    const name = random.pick(Object.keys(strikes))!;
    await strikes[name]!(random);
    await delay(BETWEEN_FAULTS_MS);
    if (struck % 20 === 19) say(`${struck + 1} faults; ${reads} reads, of them ${sources.cache} from the cache`);
  }
  over = true;
  await Promise.all([...writers, ...readers]);
  const writes = [...acknowledged.values()].reduce((sum, newest) => sum + newest, 0);
  say(`${writes} writes, ${reads} reads: ${sources.cache} from the cache, ${sources.db} from Postgres`);
  // Where the cache never answered, nothing was shown about it.
  if (sources.cache === 0) failed.push('no read came from the cache');
  return { tried: reads + writes, failed, lost: [] };
}

type Strike = (random: Random) => Promise<void>;

function faultsOf(world: StoreWorld, ways: readonly TcpProxy[]): Record<string, Strike> {
  const { cache } = world.redis;
  const entries = () =>
    cache.asAdmin(async (client) => {
      const inBytes = client.withTypeMapping({ [RESP_TYPES.BLOB_STRING]: Buffer });
      const names = await client.keys('crypto-store:record:*');
      const values = await Promise.all(names.map((name) => inBytes.get(name)));
      return names.map((name, at) => ({ name, bytes: values[at] ?? Buffer.alloc(0) }));
    });
  const put = (written: readonly { name: string; bytes: Buffer }[]) =>
    cache.asAdmin(async (client) => {
      for (const { name, bytes } of written) await client.set(name, bytes);
    });
  let older: { name: string; bytes: Buffer }[] = [];

  return {
    async 'one way stalls'(random) {
      const way = random.pick(ways)!;
      way.stall();
      await delay(random.between(50, 600));
      way.flow();
    },
    async 'one way is cut'(random) {
      const way = random.pick(ways)!;
      await way.cut();
      await delay(random.between(50, 400));
      await way.mend();
    },
    async 'it is emptied'() {
      await cache.asAdmin((client) => client.flushDb());
    },
    async 'it fails over to an older copy of itself'() {
      const before = older;
      older = await entries();
      if (before.length > 0) await put(before);
    },
    async 'its entries change places'(random) {
      const held = await entries();
      const other = random.shuffled(held);
      await put(held.map(({ name }, at) => ({ name, bytes: other[at]!.bytes })));
    },
    async 'its entries are changed'(random) {
      const held = await entries();
      for (const { bytes } of held) if (bytes.length > 0) bytes[random.between(0, bytes.length - 1)]! ^= 1;
      await put(held);
    },
    async 'its entries are noise'(random) {
      const held = await entries();
      await put(held.map(({ name }) => ({ name, bytes: randomBytes(random.between(0, 2_000)) })));
    },
  };
}
