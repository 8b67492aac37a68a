import { expect, test } from '@jest/globals';
import { Counter, createRegistry, Gauge, Histogram, metricsText } from './metrics.ts';

function filled() {
  const registry = createRegistry('crypto-store', { processMetrics: false });
  const registers = [registry];
  new Counter({ name: 'uses_total', help: 'Uses # of it.', labelNames: ['kind'], registers }).inc(
    { kind: 'a # {b' },
    3,
  );
  new Gauge({ name: 'depth', help: 'Depth.', registers }).set(2);
  const seconds = new Histogram({ name: 'seconds', help: 'Time.', buckets: [1], enableExemplars: true, registers });
  seconds.observe({ labels: {}, value: 0.5, exemplarLabels: { trace_id: 'a1'.repeat(16) } });
  return registry;
}

test('a scraper that takes OpenMetrics gets exemplars', async () => {
  const { text, contentType } = await metricsText(filled(), 'application/openmetrics-text;version=1.0.0,*/*;q=0.1');
  expect(contentType).toBe('application/openmetrics-text; version=1.0.0; charset=utf-8');
  expect(text).toMatch(
    /^seconds_bucket\{le="1",service="crypto-store"\} 1 # \{trace_id="(a1){16}"\} 0\.5 \d+(\.\d+)?$/m,
  );
  expect(text).toContain('# TYPE uses counter\nuses_total{');
  expect(text).toMatch(/\n# EOF\n$/);
});

test.each([undefined, '*/*', 'text/plain'])('for %s the older format has the same without them', async (accept) => {
  const { text, contentType } = await metricsText(filled(), accept);
  expect(contentType).toBe('text/plain; version=0.0.4; charset=utf-8');
  expect(text.trim().split('\n')).toEqual([
    '# HELP uses_total Uses # of it.',
    '# TYPE uses_total counter',
    'uses_total{kind="a # {b",service="crypto-store"} 3',
    '# HELP depth Depth.',
    '# TYPE depth gauge',
    'depth{service="crypto-store"} 2',
    '# HELP seconds Time.',
    '# TYPE seconds histogram',
    'seconds_bucket{le="1",service="crypto-store"} 1',
    'seconds_bucket{le="+Inf",service="crypto-store"} 1',
    'seconds_sum{service="crypto-store"} 0.5',
    'seconds_count{service="crypto-store"} 1',
  ]);
});
