import { Gauge, type Registry } from '@postern/runtime';

type Watched = {
  /** Jobs that wait or are worked on, by queue. */
  depths(): Promise<ReadonlyMap<string, number>>;
  /** Redis' own `INFO`, its lines parsed. */
  info(): Promise<ReadonlyMap<string, string>>;
};

/** What the bus's Redis has to be set to, as its `INFO` tells it: it evicts no job, and has them after a restart. */
const WANTED = { maxmemory_policy: 'noeviction', aof_enabled: '1' } as const;

/** What the bus tells Prometheus, asked of Redis at each scrape. What Redis does not answer has no series. */
export function busMetrics(registry: Registry, { depths, info }: Watched): void {
  const registers = [registry];
  new Gauge({
    name: 'postern_bus_queue_jobs',
    help: 'Jobs that wait or are worked on in a queue that this service fills.',
    labelNames: ['queue'],
    registers,
    async collect() {
      this.reset();
      for (const [queue, jobs] of await depths().catch(() => [])) this.set({ queue }, jobs);
    },
  });
  new Gauge({
    name: 'postern_bus_setting_unsafe',
    help: "1 where a setting of the bus's Redis lets it lose jobs.",
    labelNames: ['setting'],
    registers,
    async collect() {
      this.reset();
      const told = await info().catch(() => null);
      for (const [setting, wanted] of Object.entries(WANTED)) {
        const is = told?.get(setting);
        if (is !== undefined) this.set({ setting }, is === wanted ? 0 : 1);
      }
    },
  });
}

/** Lines `name:value` (Redis, command INFO). */
export const infoLines = (text: string): ReadonlyMap<string, string> =>
  new Map([...text.matchAll(/^(\w+):(.*?)\r?$/gm)].map(([, name = '', value = '']) => [name, value]));
