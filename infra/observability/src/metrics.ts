import { globSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { createRegistry } from '@postern/runtime';
import { place } from './files.ts';

/** Names that Prometheus itself gives. */
const OF_PROMETHEUS = ['up'];
const NAME = /\b(?:postern|http_server|nodejs|process|crypto_store|key_proxy|branch_keys)_[a-z0-9_]+\b/g;
/** A histogram shows itself under three names. */
const SUFFIX = /_(bucket|count|sum)$/;

/** Metrics that a query reads. What follows a colon is a recorded one's name, checked by promtool. */
export const metricsIn = (query: string): string[] =>
  [...query.replaceAll(/[a-z_]+:[a-z_:0-9]+/g, '').matchAll(NAME)].map(([name]) => name.replace(SUFFIX, ''));

/** Metrics that the services have: those named in their sources, and the process's own. */
export async function knownMetrics(): Promise<Set<string>> {
  const root = place('../..');
  const sources = globSync('{apps,libs}/*/src/**/*.ts', { cwd: root }).map((path) =>
    readFileSync(join(root, path), 'utf8'),
  );
  const own = sources.flatMap((text) =>
    [...text.matchAll(/'((?:postern|http_server|crypto_store|key_proxy|branch_keys)_[a-z0-9_]+)'/g)].map(
      ([, name]) => name!,
    ),
  );
  const registry = createRegistry('any');
  const process = (await registry.getMetricsAsJSON()).map(({ name }) => name);
  const eventLoop = process.map((name) => name.replace(SUFFIX, ''));
  return new Set([...OF_PROMETHEUS, ...eventLoop, ...own]);
}
