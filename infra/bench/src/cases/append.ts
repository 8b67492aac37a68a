import {
  AUDIT_QUEUE,
  BATCH_TYPE,
  canonicalBytes,
  chainHash,
  commitmentOf,
  digestOfContent,
  entryLeaf,
  joinBatch,
  newEvent,
  NO_PREVIOUS,
  packContent,
  type AuditJob,
  type Watermark,
} from '@postern/audit';
import { openBus } from '@postern/bus';
import { openHome, quietly, startStack, type Stack } from '@postern/dev';
import { openAgent, signAsWorkload, watchTlsMaterial } from '@postern/mtls';
import { silentLogger } from '@postern/runtime';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { cpuSeconds } from '../cpu.ts';
import { median, type Case } from '../measure.ts';
import { startTessera } from '../peers/tessera.ts';

/** Whose queue is filled; the service itself is ended, so that nobody else gives its numbers. */
const PRODUCER = 'key-proxy';
const ENTRY_BYTES = 1_024;
const BATCH = 500;
const BATCHES = 40;
const CALLERS = 512;
const RATE = 1_000;
const RATE_SECONDS = 6;
const JOBS_PER_SECOND = 20;
const LOOK_MS = 10;

/** The log with a producer whose batches are made here. */
async function openLog() {
  const home = openHome(mkdtempSync(join(tmpdir(), 'postern-bench-')));
  const stack: Stack = await startStack({ home, step: quietly, idp: 'development' });
  await stack.processes[PRODUCER].stop();
  const env = stack.environmentOf(PRODUCER);
  const files = (prefix: string) => ({
    cert: env[`${prefix}_CERT_PATH`]!,
    key: env[`${prefix}_KEY_PATH`]!,
    ca: env[`${prefix}_CA_PATH`]!,
  });
  const tls = await watchTlsMaterial(files('POSTERN_TLS'));
  const busTls = await watchTlsMaterial(files('POSTERN_BUS_TLS'));
  const password = readFileSync(env['POSTERN_BUS_PASSWORD_FILE']!, 'utf8').trim();
  const bus = await openBus({
    url: env['POSTERN_BUS_URL']!,
    password,
    tls: busTls,
    service: PRODUCER,
    logger: silentLogger(),
  });
  const agent = openAgent(tls);
  const queue = bus.queue(AUDIT_QUEUE);

  const url = `${stack.state.urls['audit-sink'].api}/v1/watermarks/${PRODUCER}`;
  const watermark = async (): Promise<Watermark> => {
    for (;;) {
      const { statusCode, body } = await request(url, { dispatcher: agent });
      const text = await body.text();
      if (statusCode === 200) return JSON.parse(text) as Watermark;
      // An append that is not signed yet.
      await delay(5);
    }
  };
  const first = await watermark();
  let at = {
    epoch: Math.max(1, first.epoch),
    seq: first.seq,
    hash: first.hash ? Buffer.from(first.hash, 'base64url') : Buffer.from(NO_PREVIOUS),
  };

  return {
    stack,
    /** Signed batches, each going on from the one before. */
    batches: (count: number, entries: number): AuditJob[] => Array.from({ length: count }, () => make(entries)),
    add: (job: AuditJob) => queue.add(job),
    seq: () => at.seq,
    seqHeld: async () => (await watermark()).seq,
    /** Waits until the log provably holds all up to `seq`. */
    async held(seq: number, lookMs: number): Promise<void> {
      while ((await watermark()).seq < seq) await delay(lookMs);
    },
    async close() {
      await bus.close();
      await agent.close();
      tls.close();
      busTls.close();
      await stack.close();
      rmSync(home.dir, { recursive: true, force: true });
    },
  };

  function make(count: number): AuditJob {
    const previous = at.hash;
    let { hash } = at;
    const entries = Array.from({ length: count }, (_, i) => {
      const entry = entryOf(i);
      const place = { producer: PRODUCER, epoch: at.epoch, seq: at.seq + 1 + i, previous: hash };
      hash = Buffer.from(chainHash(entryLeaf(place, { ...entry, commitment: commitmentOf(entry.salt, entry.event) })));
      return entry;
    });
    const { content, bytes } = packContent(entries);
    const manifest = {
      v: 2,
      producer: PRODUCER,
      epoch: at.epoch,
      first: at.seq + 1,
      count,
      previous: previous.toString('base64url'),
      content: digestOfContent(content),
      bytes,
    };
    at = { ...at, seq: at.seq + count, hash };
    return { v: 2, batch: joinBatch(signAsWorkload(BATCH_TYPE, JSON.stringify(manifest), tls.current()), content) };
  }
}

/** An event of {@link ENTRY_BYTES}. */
function entryOf(i: number) {
  const event = newEvent(
    {
      action: 'token.exchanged',
      outcome: 'success',
      tenant: `tenant-${i % 5}`,
      actor: { person: { issuer: 'https://idp.example/realms/bench', sub: `person-${i % 50}` }, workload: 'job' },
      resource: { type: 'record', id: randomBytes(16).toString('hex') },
      request: randomBytes(16).toString('hex'),
      trace: randomBytes(16).toString('hex'),
      details: { audience: 'crypto-store', scopes: ['records:read'], rule: '' },
    },
    new Date(),
  );
  event.details['rule'] = randomBytes(512)
    .toString('hex')
    .slice(0, Math.min(512, ENTRY_BYTES - canonicalBytes(event).length));
  return { id: event.id, action: event.action, salt: randomBytes(32), event: Buffer.from(canonicalBytes(event)) };
}

type Peer = Awaited<ReturnType<typeof startTessera>> & { post(): Promise<number> };

/** Tessera over HTTP; each entry is another. */
async function openPeer(): Promise<Peer> {
  const server = await startTessera();
  const agent = new Agent({ connections: CALLERS, pipelining: 1 });
  return {
    ...server,
    async post() {
      const began = performance.now();
      const { statusCode, body } = await agent.request({
        origin: server.url,
        path: '/add',
        method: 'POST',
        body: randomBytes(ENTRY_BYTES),
      });
      await body.dump();
      if (statusCode !== 200) throw new Error(`Tessera answered ${statusCode}`);
      return performance.now() - began;
    },
    async close() {
      await agent.close();
      await server.close();
    },
  };
}

/**
 * Entries of 1 KiB from the bus into the tree, under a signed checkpoint: CPU of audit-sink, Postgres and the bus, until the
 * log says with a proof that it holds the last one. Tessera keeps what it is given; ours also checks the producer's signature
 * and each event, seals it for its subject, and makes it searchable.
 */
export const append: Case = {
  name: 'audit/append',
  unit: 'entries appended and proven per CPU second',
  against: "Tessera's POSIX log over HTTP, the same entry size",
  goal: { atLeast: 0.4 },
  async prepare() {
    const log = await openLog();
    const peer = await openPeer();
    const pids = log.stack.pids();
    const ourPids = [pids['audit-sink'], pids.postgres, pids['redis-bus']];
    return {
      async ours() {
        const jobs = log.batches(BATCHES, BATCH);
        const before = cpuSeconds(ourPids);
        for (const job of jobs) await log.add(job);
        await log.held(log.seq(), 100);
        return (BATCHES * BATCH) / (cpuSeconds(ourPids) - before);
      },
      async peer() {
        const before = cpuSeconds([peer.pid]);
        let left = BATCHES * BATCH;
        const caller = async () => {
          while (left-- > 0) await peer.post();
        };
        await Promise.all(Array.from({ length: CALLERS }, caller));
        return (BATCHES * BATCH) / (cpuSeconds([peer.pid]) - before);
      },
      async close() {
        await peer.close();
        await log.close();
      },
    };
  },
};

/** How long an entry takes from the bus until the log proves it, at 1,000 a second; Tessera's until it gives an index. */
export const addLatency: Case = {
  name: 'audit/add-latency',
  unit: 'ms, median, at 1,000 entries a second',
  against: "Tessera's POSIX log over HTTP, the same entry size",
  goal: { atMost: 1 },
  async prepare() {
    const log = await openLog();
    const peer = await openPeer();
    return {
      async ours() {
        const jobs = log.batches(JOBS_PER_SECOND * RATE_SECONDS, RATE / JOBS_PER_SECOND);
        let seq = log.seq() - jobs.length * (RATE / JOBS_PER_SECOND);
        const added: { seq: number; at: number }[] = [];
        const took: number[] = [];
        // One that looks: each look costs the log proofs.
        const looking = (async () => {
          while (took.length < jobs.length) {
            const held = await log.seqHeld();
            const now = performance.now();
            while (added[0] && added[0].seq <= held) took.push(now - added.shift()!.at);
            await delay(LOOK_MS);
          }
        })();
        for (const job of jobs) {
          const at = performance.now();
          seq += RATE / JOBS_PER_SECOND;
          added.push({ seq, at });
          await log.add(job);
          await delay(Math.max(0, 1_000 / JOBS_PER_SECOND - (performance.now() - at)));
        }
        await looking;
        return median(took);
      },
      async peer() {
        const took: Promise<number>[] = [];
        const began = performance.now();
        for (let i = 0; i < RATE * RATE_SECONDS; i += 1) {
          if (i % 10 === 0) await delay(Math.max(0, began + (i / RATE) * 1_000 - performance.now()));
          took.push(peer.post());
        }
        return median(await Promise.all(took));
      },
      async close() {
        await peer.close();
        await log.close();
      },
    };
  },
};
