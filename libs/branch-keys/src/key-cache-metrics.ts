import { Counter, Gauge, type Registry } from '@postern/runtime';

/** What the cache of branch keys tells Prometheus. It counts by itself: a use of a key is too short for a counter with labels. */
export function keyCacheMetrics(
  counts: () => { hits: number; misses: number; held: number },
  registry: Registry,
): void {
  const registers = [registry];
  new Counter({
    name: 'postern_branch_key_cache_total',
    help: 'Uses of branch keys, by whether the key was in memory.',
    labelNames: ['result'],
    registers,
    collect() {
      const { hits, misses } = counts();
      this.reset();
      this.inc({ result: 'hit' }, hits);
      this.inc({ result: 'miss' }, misses);
    },
  });
  new Gauge({
    name: 'postern_branch_keys_held',
    help: 'Branch keys in memory.',
    registers,
    collect() {
      this.set(counts().held);
    },
  });
}
