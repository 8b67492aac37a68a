import { expect, test } from '@jest/globals';
import { createRegistry, metricsText } from '@postern/runtime';
import { busMetrics, infoLines } from './bus-metrics.ts';

const INFO = '# Memory\r\nused_memory:1\r\nmaxmemory_policy:allkeys-lru\r\n\r\n# Persistence\r\naof_enabled:1\r\n';

async function figures(info: () => Promise<ReadonlyMap<string, string>>) {
  const registry = createRegistry('key-proxy', { processMetrics: false });
  busMetrics(registry, { depths: async () => new Map([['jobs', 3]]), info });
  const { text } = await metricsText(registry);
  return [...text.matchAll(/^postern_bus_(\w+)\{(\w+="\w+"),service="key-proxy"\} (\d)$/gm)].map(([, ...of]) =>
    of.join(' '),
  );
}

test('a Redis that evicts jobs, or has none after a restart, is told from one that keeps them', async () => {
  expect(await figures(async () => infoLines(INFO))).toEqual([
    'queue_jobs queue="jobs" 3',
    'setting_unsafe setting="maxmemory_policy" 1',
    'setting_unsafe setting="aof_enabled" 0',
  ]);
});

test('what Redis does not say has no series, and fails no scrape', async () => {
  expect(await figures(() => Promise.reject(new Error('away')))).toEqual(['queue_jobs queue="jobs" 3']);
});
