import { run } from '@postern/cli';
import { rmSync } from 'node:fs';
import { setTimeout as delay } from 'node:timers/promises';
import { holds, type Case, type Circumstances, type Findings, type Scale } from '../assess.ts';
import { seeded } from '../random.ts';
import { openLogWorld, type LogWorld, type Part } from './log-world.ts';
import { TRIED } from './producer-told.ts';
import { publishedIds } from './published-log.ts';

type Extent = { events: number; rounds: number; publishedWithinMs: number };

/** Each round has every fault once. */
const extents: Record<Scale, Extent> = {
  small: { events: 2_000, rounds: 1, publishedWithinMs: 240_000 },
  default: { events: 100_000, rounds: 1, publishedWithinMs: 240_000 },
  full: { events: 1_000_000, rounds: 10, publishedWithinMs: 1_800_000 },
};
const WORKS_AGAIN_WITHIN_MS = 180_000;
const LONGEST_CALM_MS = 500;
const POLL_MS = 250;
const ID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/;

type Produced = { tried: number; acknowledged: string[] };

export const auditCrashes: Case = {
  name: 'audit/crashes',
  guarantee:
    'an acknowledged event is in the published log once and in its order, whatever of it crashes (R21, R22, R23)',
  async run(circumstances) {
    const world = await openLogWorld();
    let findings: Findings | undefined;
    try {
      const produced = await underFaults(world, circumstances);
      findings = await judge(world, produced, circumstances);
      return findings;
    } finally {
      await world.close();
      if (findings && holds(findings)) rmSync(world.folder, { recursive: true, force: true });
      else circumstances.say(`logs, and what was published, are kept in ${world.folder}`);
    }
  },
};

/** Lets the producer record at its full speed, and breaks one part after the other meanwhile. */
async function underFaults(world: LogWorld, { scale, seed, say }: Circumstances): Promise<Produced> {
  const random = seeded(seed);
  const { events, rounds } = extents[scale];
  for (const part of [...world.sinks, world.relay, world.callers]) part.start();
  const schedule = Array.from({ length: rounds }, () => random.shuffled(faultsOf(world))).flat();
  for (const [i, fault] of schedule.entries()) {
    const before = (await producedIn(world)).acknowledged.length;
    // The faults are spread over the events; after each one something new must be acknowledged.
    await untilAcknowledged(world, Math.max(before + 1, Math.floor((events * (i + 1)) / (schedule.length + 1))));
    await delay(random.between(0, LONGEST_CALM_MS));
    await fault.strike();
    say(`${fault.name} after ${(await producedIn(world)).acknowledged.length} events`);
  }
  const struck = (await producedIn(world)).acknowledged.length;
  await untilAcknowledged(world, Math.max(events, struck + 1));
  await world.callers.end();
  return producedIn(world);
}

function faultsOf({ postgres, redis, sinks, relay, callers }: LogWorld) {
  const crash = (part: Part) => ({ name: `kill -9 ${part.name}`, strike: () => part.crash() });
  return [
    ...[callers, relay, ...sinks].map(crash),
    { name: 'flush the bus', strike: () => redis.bus.asAdmin((client) => client.flushDb()) },
    { name: 'stop and start Postgres', strike: () => postgres.restart('close') },
    { name: 'kill -9 Postgres', strike: () => postgres.restart('kill') },
  ];
}

/** What the producer wrote so far: a line for each event that it tried, and the id of each that was acknowledged. */
async function producedIn(world: LogWorld): Promise<Produced> {
  const lines = (await world.outputOf(world.callers)).split('\n');
  return { tried: lines.filter((line) => line === TRIED).length, acknowledged: lines.filter((line) => ID.test(line)) };
}

/** Throws where not one more event is acknowledged for too long. */
async function untilAcknowledged(world: LogWorld, count: number): Promise<void> {
  let progress = { count: 0, at: performance.now() };
  for (;;) {
    const now = (await producedIn(world)).acknowledged.length;
    if (now >= count) return;
    if (now > progress.count) progress = { count: now, at: performance.now() };
    else if (performance.now() - progress.at > WORKS_AGAIN_WITHIN_MS)
      throw new Error('no event is acknowledged any more');
    await delay(POLL_MS);
  }
}

/** Compares what is published, outside the database, with what was acknowledged, and verifies it with the log's key alone. */
async function judge(
  world: LogWorld,
  { tried, acknowledged }: Produced,
  { scale, seed, say }: Circumstances,
): Promise<Findings> {
  const missing = (ids: readonly string[]) => {
    const there = new Set(ids);
    return acknowledged.filter((id) => !there.has(id));
  };
  const end = performance.now() + extents[scale].publishedWithinMs;
  let ids = publishedIds(world.published, 'crypto-store');
  while (missing(ids).length > 0 && performance.now() < end) {
    await delay(4 * POLL_MS);
    ids = publishedIds(world.published, 'crypto-store');
  }
  const lost = missing(ids);
  const doubled = repeatedIn(ids);
  const known = new Set(acknowledged);
  const inOrder = ids.filter((id) => known.has(id));
  const disordered = lost.length + doubled.length === 0 ? inOrder.findIndex((id, at) => id !== acknowledged[at]) : -1;
  say(
    `tried ${tried}, acked ${acknowledged.length}, stored ${ids.length}, lost ${lost.length}, duplicated ${doubled.length}, ` +
      `out of order ${disordered < 0 ? 0 : 'from ' + disordered}, seed ${seed}`,
  );
  const unverified = await verified(world);
  return {
    tried: acknowledged.length,
    failed: [
      ...doubled.map((id) => `${id} is in the log twice`),
      ...(disordered < 0 ? [] : [`the log has ${inOrder[disordered]} where ${acknowledged[disordered]} came first`]),
      ...unverified,
    ],
    lost: lost.map((id) => `${id} was acknowledged and is not in the log`),
  };
}

function repeatedIn(ids: readonly string[]): string[] {
  const seen = new Set<string>();
  return ids.filter((id) => seen.size === seen.add(id).size);
}

/** What `postern audit verify` says against the published log. */
async function verified({ published, folder, logKey }: LogWorld): Promise<string[]> {
  const said: string[] = [];
  const line = (text: string) => void said.push(text);
  const terminal = { folder, out: line, err: line, input: async () => '', interactive: false, environment: {} };
  const code = await run(['audit', 'verify', published, '--key', await logKey()], terminal);
  return code === 0 ? [] : [`the published log does not verify: ${said.join(' ')}`];
}
