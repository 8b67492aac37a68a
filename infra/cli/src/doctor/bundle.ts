import { type Examination } from './examine.ts';

/**
 * What somebody who helps needs to see, and nothing secret: versions, readiness, figures (whose labels are templates), findings and
 * what certificates say of themselves. No setting, no log line, no name of a person is in it.
 */
export function supportBundle({ views, findings }: Examination, madeAt: Date): string {
  const services = Object.fromEntries(
    views.map(({ name, version, health, metrics, clockSkewSeconds }) => [
      name,
      {
        version,
        health,
        clockSkewSeconds,
        metrics: metrics.split('\n').filter((line) => line !== '' && !line.startsWith('#')),
      },
    ]),
  );
  return `${JSON.stringify({ format: 'postern-support-bundle-1', madeAt: madeAt.toISOString(), findings, services }, null, 2)}\n`;
}
