import { AUDIT_QUEUE } from '@postern/audit';
import type { Query } from '@postern/postgres';
import { readFileSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { inclusionProof } from '../src/log/proofs.ts';
import { asTenant } from '../src/search/as-tenant.ts';
import { searchStatement } from '../src/search/find-events.ts';
import { sinkProcess } from './processes.ts';
import { producerBatches } from './producer-batches.ts';
import { openWorld } from './world.ts';

/**
 * `node scale.ts EVENTS`: sends so many events through the bus into a sink that is a process of its own, and prints a line of
 * JSON when the log holds a hundredth of them, a tenth, and all.
 */
const total = Number(process.argv[2]);
const PRODUCER = 'crypto-store';
const BATCH = 500;
/** Under way at most: as much as a relay has. */
const WINDOW = 20_000;
const PROOFS = 50;
const PAGE = 50;

type Plan = Record<string, unknown>;

const world = await openWorld({ alone: true });
const producer = await world.producer(PRODUCER);
const sink = await sinkProcess(world, { POSTERN_AUDIT_PRODUCERS: PRODUCER });
try {
  await sink.start();
  const batches = producerBatches(PRODUCER, producer.tls);
  const queue = producer.bus.queue(AUDIT_QUEUE);
  const began = performance.now();
  for (const mark of [total / 100, total / 10, total]) {
    while (batches.seq() < mark) {
      while (batches.seq() - (await held()).seq > WINDOW) await sleep(20);
      await queue.add(batches.next(Math.min(BATCH, mark - batches.seq())).job);
    }
    while ((await held()).seq < mark) await sleep(50);
    const seconds = Math.round((performance.now() - began) / 1_000);
    await world.asOwner('vacuum analyze');
    const line = { events: mark, seconds, ...memory(), ...(await proofs()), ...(await lastPage()) };
    process.stdout.write(`${JSON.stringify(line)}\n`);
  }
} finally {
  await sink.kill();
  await world.close();
}

async function held(): Promise<{ seq: number; size: number }> {
  const [row] = await world.log.query<{ seq: string; size: string }>(
    `select coalesce(max(w.seq), 0) as seq, max(h.size) as size from log_head h left join log_watermarks w on true`,
  );
  return { seq: Number(row?.seq), size: Number(row?.size) };
}

/** Of the sink's process, in MiB: now, and at most so far. */
function memory() {
  const status = readFileSync(`/proc/${sink.pid()}/status`, 'utf8');
  const mib = (name: string) => Math.round(Number(new RegExp(`^${name}:\\s+(\\d+)`, 'm').exec(status)?.[1]) / 1_024);
  return { residentMiB: mib('VmRSS'), peakMiB: mib('VmHWM') };
}

/** Proofs of entries all over the tree: hashes in one, the most buffers that one read, and their median time without that look. */
async function proofs() {
  const { size } = await held();
  const took: number[] = [];
  let hashes = 0;
  let buffers = 0;
  for (let i = 0; i < PROOFS; i += 1) {
    const index = Math.floor((i * size) / PROOFS);
    const explained = explaining(world.log.query);
    hashes = Math.max(hashes, (await inclusionProof(explained.query, index, size)).length);
    buffers = Math.max(buffers, explained.buffers());
    const before = performance.now();
    await inclusionProof(world.log.query, index, size);
    took.push(performance.now() - before);
  }
  const milliseconds = took.toSorted((a, b) => a - b)[PROOFS / 2]!;
  return { treeSize: size, proofHashes: hashes, proofBuffers: buffers, proofMs: Number(milliseconds.toFixed(2)) };
}

/** The newest page of a tenant that has a fifth of the events. */
async function lastPage() {
  const { size } = await held();
  const { text, values } = searchStatement({}, { begin: 0, end: size, newestFirst: true, limit: PAGE });
  return asTenant(world.log, 'tenant-0', async (query) => {
    const explained = explaining(query);
    const rows = await explained.query(text, values);
    return { pageRows: rows.length, pageBuffers: explained.buffers(), pagePlan: explained.nodes() };
  });
}

/** Statements with what each read: once it is run, nothing is read for the first time. */
function explaining(query: Query) {
  const plans: Plan[] = [];
  const below = (plan: Plan): string[] => [
    [plan['Node Type'], plan['Index Name']].filter(Boolean).join(' on '),
    ...((plan['Plans'] ?? []) as Plan[]).flatMap(below),
  ];
  return {
    query: (async (text: string, values?: readonly unknown[]) => {
      const rows = await query(text, values);
      const [explained] = await query<{ 'QUERY PLAN': { Plan: Plan }[] }>(
        `explain (analyze, buffers, format json) ${text}`,
        values,
      );
      plans.push(explained!['QUERY PLAN'][0]!.Plan);
      return rows;
    }) as Query,
    buffers: () =>
      plans.reduce((sum, plan) => sum + Number(plan['Shared Hit Blocks']) + Number(plan['Shared Read Blocks']), 0),
    nodes: () => plans.flatMap(below),
  };
}
