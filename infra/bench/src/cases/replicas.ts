import { openHome, quietly, startReplicatedStack, type ReplicatedStack } from '@postern/dev';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { costOf, keyOf, openTarget, type Targets } from '../crypto-store-world.ts';
import { load } from '../load.ts';
import { type Case, type Pair } from '../measure.ts';

const REPLICAS = { 'crypto-store': 3, 'audit-sink': 1, 'token-exchange': 1, 'auth-manager': 1, 'key-proxy': 1 };

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

/** The same processes are counted on both sides, the two idle replicas too; the balancer on ours. */
export const replicas: Case = {
  name: 'crypto-store/replicas',
  unit: 'requests per CPU second of all processes',
  against: 'one of the three, without the balancer',
  goal: { atLeast: 1 },
  prepare: () =>
    withReplicas(({ replicated: { stack, fleet, balancer, redis }, targets }) => {
      const shared = [
        ...fleet.pids('crypto-store'),
        ...fleet.pids('audit-sink'),
        stack.pids().postgres,
        ...[...redis.cache.nodes, ...redis.bus.nodes].map(({ pid }) => pid),
      ];
      const behind = targets.target(retrieving);
      const [first] = fleet.of('crypto-store');
      const alone = { ...behind, url: `https://127.0.0.1:${first?.ports.api}` };
      return {
        ours: async () => (await costOf(behind, [...shared, balancer.pid])).perCpuSecond,
        peer: async () => (await costOf(alone, shared)).perCpuSecond,
      };
    }),
};

const UNDER_LOAD_MS = 12_000;
const BEFORE_MS = 1_000;
const ALLOWED_SECONDS = 10;

/** SIGTERM to one of three at full load until its process has ended. A request that fails ends the case. */
export const drain: Case = {
  name: 'crypto-store/drain',
  unit: 's',
  against: 'the ten seconds that it may take',
  goal: { atMost: 1 },
  prepare: () =>
    withReplicas(({ replicated: { fleet }, targets }) => ({
      async ours() {
        const [, second] = fleet.of('crypto-store');
        if (second === undefined) throw new TypeError('three were started');
        const loading = load(targets.target(retrieving), { ms: UNDER_LOAD_MS });
        const drained = async () => {
          await new Promise((resolve) => setTimeout(resolve, BEFORE_MS));
          const began = performance.now();
          await fleet.stop(second);
          return (performance.now() - began) / 1000;
        };
        const [took] = await Promise.all([drained(), loading]);
        await fleet.start(second);
        return took;
      },
      peer: async () => ALLOWED_SECONDS,
    })),
};
