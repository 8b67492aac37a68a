import { freePort, startLeashed } from '@postern/testing';
import { openBaoBinary } from '@postern/testing/openbao';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, request } from 'undici';

import { type Target } from './load.ts';

/** OpenBao as its makers would run it: raft, TLS with client certificates, a file audit device, a token under a policy. */
export type OpenBaoPeer = {
  url: string;
  pid: number;
  tls: Target['tls'];
  /** Tokens that may do what the cases do, and everything. */
  tokens: { policy: string; root: string };
  close(): Promise<void>;
};

/** The parts of its answers that are used. */
type Answer = { keys?: string[]; root_token?: string; auth?: { client_token: string } };

const POLICY = `
path "secret/data/*" { capabilities = ["create", "read", "update"] }
path "transit/encrypt/bench" { capabilities = ["update"] }
path "transit/decrypt/bench" { capabilities = ["update"] }`;

/** @param files PEM files of the server's certificate and of the CA that clients chain to; `tls` is a client's */
export async function startOpenBaoPeer(
  folder: string,
  files: { cert: string; key: string; ca: string },
  tls: Target['tls'],
): Promise<OpenBaoPeer> {
  const [port, clusterPort] = [await freePort(), await freePort()];
  const url = `https://127.0.0.1:${port}`;
  const raft = join(folder, 'raft');
  mkdirSync(raft, { recursive: true });
  const configuration = join(folder, 'openbao.hcl');
  writeFileSync(
    configuration,
    `storage "raft" { path = "${raft}" node_id = "bench" }
listener "tcp" {
  address = "127.0.0.1:${port}"
  cluster_address = "127.0.0.1:${clusterPort}"
  tls_cert_file = "${files.cert}"
  tls_key_file = "${files.key}"
  tls_client_ca_file = "${files.ca}"
  tls_require_and_verify_client_cert = true
  tls_min_version = "tls13"
}
audit "file" "to-file" { options { file_path = "${join(folder, 'audit.log')}" } }
api_addr = "${url}"
cluster_addr = "https://127.0.0.1:${clusterPort}"
disable_mlock = true
log_level = "warn"
`,
  );
  const server = startLeashed([await openBaoBinary(), 'server', `-config=${configuration}`], {
    logFile: join(folder, 'openbao.log'),
    stopSignal: 'TERM',
  });
  const dispatcher = new Agent({ connect: tls });
  let token = '';
  const call = async (method: 'GET' | 'POST' | 'PUT', path: string, body?: object) => {
    const headers = { 'content-type': 'application/json', ...(token === '' ? {} : { 'x-vault-token': token }) };
    const sent = { method, headers, dispatcher, ...(body === undefined ? {} : { body: JSON.stringify(body) }) };
    const answer = await request(`${url}/v1/${path}`, sent);
    const text = await answer.body.text();
    if (answer.statusCode >= 300)
      throw new Error(`OpenBao answered ${answer.statusCode} to ${method} ${path}: ${text}`);
    return (text === '' ? {} : JSON.parse(text)) as Answer;
  };

  await Promise.race([answering(() => call('GET', 'sys/seal-status')), server.ended]);
  const init = await call('PUT', 'sys/init', { secret_shares: 1, secret_threshold: 1 });
  await call('PUT', 'sys/unseal', { key: init.keys?.[0] });
  token = init.root_token ?? '';
  // Raft elects itself first.
  await answering(() => call('POST', 'sys/mounts/transit', { type: 'transit' }));
  await call('POST', 'sys/mounts/secret', { type: 'kv', options: { version: '2' } });
  await call('PUT', 'sys/policies/acl/bench', { policy: POLICY });
  await call('POST', 'transit/keys/bench', { type: 'aes256-gcm96' });
  const made = await call('POST', 'auth/token/create', { policies: ['bench'], no_default_policy: true, ttl: '1h' });
  const policy = made.auth?.client_token ?? '';
  return {
    url,
    pid: server.pid,
    tls,
    tokens: { policy, root: token },
    async close() {
      await dispatcher.close();
      await server.stop();
    },
  };
}

async function answering(ask: () => Promise<unknown>): Promise<void> {
  for (let tries = 0; ; tries += 1) {
    try {
      await ask();
      return;
    } catch (error) {
      if (tries === 300) throw error;
      await delay(100);
    }
  }
}
