import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { request } from 'undici';
import { debianProgram } from '../debian/program.ts';
import { freePort } from '../run/free-port.ts';
import { startLeashed } from '../run/leash.ts';

export type Series = { metric: Record<string, string>; value: [number, string] };
export type ExemplarSeries = {
  seriesLabels: Record<string, string>;
  exemplars: { labels: Record<string, string>; value: string; timestamp: number }[];
};

export type RunningPrometheus = {
  /** `http://127.0.0.1:PORT` */
  url: string;
  /** The series of an instant query. @throws Error with Prometheus' own words */
  query(promql: string): Promise<Series[]>;
  /** Exemplars of the last hour. */
  exemplars(promql: string): Promise<ExemplarSeries[]>;
  close(): Promise<void>;
};

const START_TIMEOUT_MS = 60_000;

/**
 * Starts Prometheus (the installed one, or Debian's package) on data that end with it.
 * @param config a whole configuration; paths in it are absolute
 */
export async function startPrometheus(config: string): Promise<RunningPrometheus> {
  const program = await debianProgram('prometheus', { of: 'prometheus' });
  const folder = await mkdtemp(join(tmpdir(), 'postern-prometheus-'));
  const file = join(folder, 'prometheus.yml');
  await writeFile(file, config);
  const port = await freePort();
  const url = `http://127.0.0.1:${port}`;
  const server = startLeashed(
    [
      program,
      `--config.file=${file}`,
      `--storage.tsdb.path=${join(folder, 'data')}`,
      `--web.listen-address=127.0.0.1:${port}`,
      '--enable-feature=exemplar-storage',
      '--log.level=warn',
    ],
    { logFile: join(folder, 'prometheus.log'), stopSignal: 'TERM' },
  );
  const ask = async <T>(path: string, parameters: Record<string, string>): Promise<T> => {
    const answer = await request(`${url}/api/v1/${path}?${new URLSearchParams(parameters)}`);
    const { data, error } = (await answer.body.json()) as { data?: T; error?: string };
    if (data === undefined) throw new Error(`Prometheus: ${error ?? answer.statusCode}`);
    return data;
  };
  const close = async () => {
    await server.stop();
    await rm(folder, { recursive: true, force: true });
  };
  const ready = async () => {
    for (const end = Date.now() + START_TIMEOUT_MS; Date.now() < end; await sleep(200)) {
      const answer = await request(`${url}/-/ready`).catch(() => null);
      await answer?.body.dump();
      if (answer?.statusCode === 200) return;
    }
    throw new Error('Prometheus did not become ready in time');
  };
  try {
    await Promise.race([ready(), server.ended]);
  } catch (error) {
    await server.kill();
    await rm(folder, { recursive: true, force: true });
    throw error;
  }
  return {
    url,
    query: async (promql) => (await ask<{ result: Series[] }>('query', { query: promql })).result,
    exemplars(promql) {
      const now = Date.now() / 1_000;
      return ask('query_exemplars', { query: promql, start: String(now - 3_600), end: String(now + 60) });
    },
    close,
  };
}
