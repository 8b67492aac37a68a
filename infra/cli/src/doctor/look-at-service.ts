import { z } from 'zod';

const version = z.looseObject({
  service: z.string(),
  version: z.string(),
  profile: z.string(),
  environment: z.string().optional(),
  node: z.string(),
  fips: z.boolean(),
});
const health = z.looseObject({
  status: z.string(),
  checks: z.record(z.string(), z.string()),
  without: z.record(z.string(), z.string()).optional(),
});

/** What one service says of itself on its management listener. */
export type ServiceView = {
  name: string;
  version: z.output<typeof version>;
  health: z.output<typeof health>;
  /** Prometheus' text format: no label holds a subject, a key or a path. */
  metrics: string;
  /** Its clock minus ours, in seconds; a second is the header's own grain. */
  clockSkewSeconds: number;
};

const TIMEOUT_MS = 5_000;

/** Asks a management listener. @throws Error in one line, where it does not answer or answers something else */
export async function lookAtService(name: string, management: string): Promise<ServiceView> {
  const asked = Date.now();
  const answer = await ask(management, '/version');
  const middle = (asked + Date.now()) / 2;
  const date = Date.parse(answer.headers.get('date') ?? '');
  const [ready, metrics] = await Promise.all([ask(management, '/health/ready'), ask(management, '/metrics')]);
  return {
    name,
    version: version.parse(await answer.json()),
    health: health.parse(await ready.json()),
    metrics: await metrics.text(),
    clockSkewSeconds: Number.isNaN(date) ? 0 : Math.round((date - middle) / 1000),
  };
}

const ask = (management: string, path: string): Promise<Response> =>
  fetch(new URL(path, management), { signal: AbortSignal.timeout(TIMEOUT_MS), redirect: 'error' });
