import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Agent, request } from 'undici';
import { freePort } from '../run/free-port.ts';
import { startLeashed } from '../run/leash.ts';
import { lokiProgram } from './build.ts';

export { LOKI_VERSION, lokiProgram } from './build.ts';

export type LokiStreamFound = { stream: Record<string, string>; values: [string, string][] };

export type RunningLoki = {
  /** `https://127.0.0.1:PORT` */
  url: string;
  /** One query over the last hours. @throws LokiRefused with Loki's own words */
  query(logql: string): Promise<{ resultType: string; result: Record<string, unknown>[] }>;
  close(): Promise<void>;
};

export class LokiRefused extends Error {
  override name = 'LokiRefused';
}

const START_TIMEOUT_MS = 60_000;
const HOURS = 2;

/** Starts Loki in one process over TLS on loopback, on data that end with it. */
export async function startLoki(tls: { cert: string; key: string; ca: string }): Promise<RunningLoki> {
  const program = await lokiProgram();
  const folder = await mkdtemp(join(tmpdir(), 'postern-loki-'));
  const [port, grpcPort] = [await freePort(), await freePort()];
  const [cert, key, config] = ['tls.crt', 'tls.key', 'loki.yaml'].map((name) => join(folder, name)) as [
    string,
    string,
    string,
  ];
  await writeFile(cert, tls.cert);
  await writeFile(key, tls.key, { mode: 0o600 });
  await writeFile(config, configuration({ folder, port, grpcPort, cert, key }));
  const server = startLeashed([program, `-config.file=${config}`], {
    logFile: join(folder, 'loki.log'),
    stopSignal: 'TERM',
  });
  const dispatcher = new Agent({ connect: { ca: tls.ca } });
  const url = `https://127.0.0.1:${port}`;
  const close = async () => {
    await server.kill();
    await dispatcher.close();
    await rm(folder, { recursive: true, force: true });
  };
  const ready = async () => {
    for (const end = Date.now() + START_TIMEOUT_MS; Date.now() < end; await sleep(200)) {
      const answer = await request(`${url}/ready`, { dispatcher }).catch(() => null);
      await answer?.body.dump();
      if (answer?.statusCode === 200) return;
    }
    throw new Error('Loki did not become ready in time');
  };
  try {
    await Promise.race([ready(), server.ended]);
  } catch (error) {
    await close();
    throw error;
  }
  return {
    url,
    async query(logql) {
      const now = Date.now();
      const asked = new URLSearchParams({
        query: logql,
        start: `${now - HOURS * 3_600_000}000000`,
        end: `${now + 60_000}000000`,
        limit: '5000',
        step: '60',
      });
      const answer = await request(`${url}/loki/api/v1/query_range?${asked}`, { dispatcher });
      const text = await answer.body.text();
      if (answer.statusCode !== 200) throw new LokiRefused(text.trim());
      return (JSON.parse(text) as { data: { resultType: string; result: Record<string, unknown>[] } }).data;
    },
    close,
  };
}

const configuration = (at: { folder: string; port: number; grpcPort: number; cert: string; key: string }): string => `
auth_enabled: false
server:
  http_listen_address: 127.0.0.1
  http_listen_port: ${at.port}
  grpc_listen_address: 127.0.0.1
  grpc_listen_port: ${at.grpcPort}
  log_level: warn
  http_tls_config: { cert_file: ${at.cert}, key_file: ${at.key} }
common:
  instance_addr: 127.0.0.1
  path_prefix: ${at.folder}/data
  replication_factor: 1
  ring: { kvstore: { store: inmemory } }
  storage: { filesystem: { chunks_directory: ${at.folder}/chunks, rules_directory: ${at.folder}/rules } }
schema_config:
  configs:
    - { from: 2024-01-01, store: tsdb, object_store: filesystem, schema: v13, index: { prefix: index_, period: 24h } }
ingester: { lifecycler: { final_sleep: 0s, min_ready_duration: 0s } }
analytics: { reporting_enabled: false }
`;
