import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';

import { costOf, keyOf, openCryptoStore } from '../crypto-store-world.ts';
import { SERVICE_WARM_PAIRS, type Case } from '../measure.ts';
import { buildTree, end, startFromTree, tracingOfTree } from '../production-tree.ts';

const SAMPLED = '0.1';
const receiverFile = fileURLToPath(new URL('../processes/otlp-receiver.ts', import.meta.url));
const retrieving = (n: number) => ({ method: 'GET' as const, path: `/retrieve/${keyOf(n)}` });

/**
 * Two of the same production tree beside each other, over the same stores. Traces go over OTLP to a receiver, a process of its
 * own on nobody's account, as a collector on another machine is.
 */
export const tracing: Case = {
  name: 'crypto-store/tracing',
  unit: 'requests per CPU second of all processes',
  against: 'the same service without tracing',
  goal: { atLeast: 0.95 },
  warmPairs: SERVICE_WARM_PAIRS,
  async prepare() {
    buildTree();
    const world = await openCryptoStore();
    const receiver = await startReceiver();
    const plain = await startFromTree(world.stack);
    const traced = await startFromTree(world.stack, {
      NODE_OPTIONS: `--import=${tracingOfTree}`,
      OTEL_SERVICE_NAME: 'crypto-store',
      OTEL_EXPORTER_OTLP_ENDPOINT: receiver.endpoint,
      OTEL_TRACES_SAMPLER: 'parentbased_traceidratio',
      OTEL_TRACES_SAMPLER_ARG: SAMPLED,
    });
    const [, ...stores] = world.pids;
    let answered = 0;
    let spans = 0;
    const cost = async ({ pid, api }: { pid: number; api: string }) => {
      const target = { ...world.target(retrieving), url: api };
      return costOf(target, [pid, ...stores]);
    };
    return {
      async ours() {
        const loaded = await cost(traced);
        answered += loaded.answered;
        spans = await receiver.spans();
        if (spans === 0) throw new Error('no span came to the receiver');
        return loaded.perCpuSecond;
      },
      peer: async () => (await cost(plain)).perCpuSecond,
      notes: () => [`${spans.toLocaleString('en')} spans came for ${answered.toLocaleString('en')} requests`],
      async close() {
        await Promise.all([plain.child, traced.child, receiver.child].map(end));
        await world.close();
      },
    };
  },
};

async function startReceiver(): Promise<{ child: ChildProcess; endpoint: string; spans(): Promise<number> }> {
  const child = spawn(process.execPath, [receiverFile], { stdio: ['ignore', 'pipe', 'inherit'] });
  const [line] = (await once(child.stdout!, 'data')) as [Buffer];
  const endpoint = line.toString().trim();
  return { child, endpoint, spans: async () => Number(await (await fetch(`${endpoint}/spans`)).text()) };
}
