import { Gauge, type Registry } from '@postern/runtime';
import type { Gap } from './read-producers.ts';
import type { Wanted } from './wanted.ts';

/** What the log tells Prometheus of itself. */
export function createLogMetrics(registry: Registry) {
  const registers = [registry];
  const gauge = <L extends string>(name: string, help: string, labelNames: L[] = []) =>
    new Gauge({ name, help, labelNames, registers });
  const published = gauge('postern_audit_log_published_size', 'Entries that are published outside the database.');
  const publishedAt = gauge('postern_audit_log_published_seconds', 'When that was last found to be so, in Unix time.');
  const gapAge = gauge('postern_audit_log_gap_seconds', 'Age of the gap that a producer left.', ['producer']);
  const wanted = gauge('postern_audit_log_wanted_entries', 'Events that a restore lost and that are wanted again.', [
    'producer',
  ]);
  return {
    published(size: number) {
      published.set(size);
      publishedAt.setToCurrentTime();
    },
    gaps(gaps: ReadonlyMap<string, readonly Gap[]>) {
      gapAge.reset();
      for (const [producer, [gap]] of gaps) if (gap) gapAge.set({ producer }, gap.ageSeconds);
    },
    wanted(rows: readonly Wanted[]) {
      wanted.reset();
      for (const { producer, entries } of rows) wanted.set({ producer }, entries);
    },
  };
}
export type LogMetrics = ReturnType<typeof createLogMetrics>;
