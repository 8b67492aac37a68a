import { matrix, render, type KubernetesObject } from '@postern/helm';
import { parse } from 'yaml';

/** What one Deployment is scaled by. */
export type ScaledBy = { name: string; query: string };
type Rule = { seriesQuery: string; name: { as: string }; metricsQuery: string };
type Trigger = { type: string; metadata: { query?: string } };

/** Every query that the chart gives to prometheus-adapter or to KEDA, and every series by which the adapter finds a rule. */
export async function scaledBy(helm: string): Promise<ScaledBy[]> {
  const rendered = await Promise.all(
    matrix
      .filter(([, , values]) => 'prometheusAdapter' in values || 'keda' in values)
      .map(([, files, values]) => render(helm, files, values)),
  );
  return rendered.flat().flatMap((object) => [...rulesIn(object), ...triggersIn(object)]);
}

function rulesIn({ kind, metadata, data }: KubernetesObject): ScaledBy[] {
  if (kind !== 'ConfigMap' || !metadata.name.endsWith('-scaled-by')) return [];
  const { externalRules } = parse((data as Record<string, string>)['config.yaml'] ?? '') as { externalRules: Rule[] };
  return externalRules.flatMap(({ name, seriesQuery, metricsQuery }) => [
    { name: `the series of ${name.as}`, query: seriesQuery },
    { name: name.as, query: metricsQuery },
  ]);
}

function triggersIn({ kind, metadata, spec }: KubernetesObject): ScaledBy[] {
  if (kind !== 'ScaledObject') return [];
  const { triggers } = spec as { triggers: Trigger[] };
  return triggers.flatMap(({ metadata: { query } }) =>
    query === undefined ? [] : [{ name: `ScaledObject ${metadata.name}`, query }],
  );
}
