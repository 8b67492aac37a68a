import { openHome, quietly, startReplicatedStack, type ReplicatedStack } from '@postern/dev';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';

import { costOf, keyOf, openTarget, type Targets } from '../crypto-store-world.ts';
import { load } from '../load.ts';
import { median, SERVICE_WARM_PAIRS, type Case, type Pair } from '../measure.ts';

const REPLICAS = { 'crypto-store': 3, 'audit-sink': 1, 'token-exchange': 1, 'auth-manager': 1, 'key-proxy': 1 };
const FRONT = 'crypto-store-api';

type World = { replicated: ReplicatedStack; targets: Targets };

async function withReplicas(sides: (world: World) => Omit<Pair, 'close'>): Promise<Pair> {
  const home = openHome(mkdtempSync(join(tmpdir(), 'postern-bench-')));
  const replicated = await startReplicatedStack({ home, replicas: REPLICAS, step: quietly });
  const targets = await openTarget(replicated.stack);
  return {
    ...sides({ replicated, targets }),
    async close() {
      await targets.close();
      await replicated.close();
      rmSync(home.dir, { recursive: true, force: true });
    },
  };
}

const retrieving = (n: number) => ({ method: 'GET' as const, path: `/retrieve/${keyOf(n)}` });
const LOAD_MS = 2_000;

/** The same processes are counted on both sides, the balancer too; where one answers, not the two that idle. */
export const replicas: Case = {
  name: 'crypto-store/replicas',
  unit: 'requests per CPU second of all processes',
  against: 'one of the three, behind the same balancer',
  goal: { atLeast: 1 },
  warmPairs: SERVICE_WARM_PAIRS,
  prepare: () =>
    withReplicas(({ replicated: { stack, fleet, balancer, redis }, targets }) => {
      const names = fleet.of('crypto-store').map(({ name }) => name);
      const shared = [
        ...fleet.pids('audit-sink'),
        stack.pids().postgres,
        ...[...redis.cache.nodes, ...redis.bus.nodes].map(({ pid }) => pid),
        balancer.pid,
      ];
      const seen = new Map<number, Cost[]>();
      const by = async (count: number) => {
        await balancer.sendTo(FRONT, names.slice(0, count));
        const pids = [...shared, ...fleet.pids('crypto-store').slice(0, count)];
        const { answered, cpu, p99Ms, perCpuSecond } = await costOf(targets.target(retrieving), pids, { ms: LOAD_MS });
        seen.set(count, [...(seen.get(count) ?? []), { answered, cpu, p99Ms }]);
        return perCpuSecond;
      };
      return { ours: () => by(names.length), peer: () => by(1), notes: () => growth(seen) };
    }),
};

type Cost = { answered: number; cpu: number; p99Ms: number };

/** How throughput grows, as a table: medians of the measurements after the first. */
function growth(seen: ReadonlyMap<number, readonly Cost[]>): string[] {
  const lines = [...seen]
    .toSorted(([one], [other]) => one - other)
    .map(([count, [, ...costs]]) => {
      const of = (value: (cost: Cost) => number) => median(costs.map(value));
      const rate = of(({ answered }) => answered / (LOAD_MS / 1_000));
      const cpu = of(({ answered, cpu }) => (cpu / answered) * 1_000);
      return `| ${count} | ${rate.toFixed(0)} | ${cpu.toFixed(3)} | ${of(({ p99Ms }) => p99Ms).toFixed(1)} |`;
    });
  return ['| replicas | requests per second | CPU s per 1,000 | p99 ms |', '|---|---|---|---|', ...lines];
}

const BEFORE_MS = 1_000;
const ALLOWED_SECONDS = 10;

/** SIGTERM to one of three at full load until its process has ended. A request that fails ends the case. */
export const drain: Case = {
  name: 'crypto-store/drain',
  unit: 's',
  against: 'the ten seconds that it may take',
  goal: { atMost: 1 },
  prepare: () =>
    withReplicas(({ replicated: { fleet }, targets }) => {
      let answered = 0;
      return {
        async ours() {
          const [, second] = fleet.of('crypto-store');
          if (second === undefined) throw new TypeError('three were started');
          const ending = new AbortController();
          const loading = load(targets.target(retrieving), { until: ending.signal });
          const draining = async () => {
            await delay(BEFORE_MS);
            const began = performance.now();
            await fleet.stop(second);
            return (performance.now() - began) / 1000;
          };
          const [took, loaded] = await Promise.all([draining().finally(() => ending.abort()), loading]);
          answered += loaded.answered;
          await fleet.start(second);
          return took;
        },
        peer: async () => ALLOWED_SECONDS,
        notes: () => [`${answered.toLocaleString('en')} requests were answered around the drains, none failed`],
      };
    }),
};
