import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Authority, Leaf } from '../authority/authority.ts';
import { onFreePort } from '../run/free-port.ts';
import { startLeashed } from '../run/leash.ts';
import { asAdmin } from './admin.ts';
import { installCertificate, prepareDataDirectory } from './data-directory.ts';
import { nativePostgres } from './native.ts';
import { sharedDataPlace } from './shared-place.ts';

export type PostgresServerOptions = {
  /** Whose data it is: the same folder finds the same data again. */
  folder: string;
  authority: Authority;
  /** Used when it is free, else another. */
  preferredPort?: number;
  /** Settings beyond ours, as in postgresql.conf. */
  settings?: Record<string, string>;
};

export type PostgresServer = {
  port: number;
  dataDirectory: string;
  /** The administrator's certificate: it logs in as `postgres`. */
  admin: Leaf;
  logFile: string;
  /** The process whose children are the server. */
  pid: number;
  /** Rejects when the server has ended by itself. */
  ended: Promise<never>;
  /** Gives the server a new certificate; open connections stay. */
  rotate(): Promise<void>;
  close(): Promise<void>;
  /** Ends it as a crash would. */
  kill(): Promise<void>;
  /** Ends it and removes its data. */
  discard(): Promise<void>;
};

const START_TIMEOUT_MS = 60_000;

const SETTINGS = {
  listen_addresses: '127.0.0.1',
  unix_socket_directories: '',
  ssl: 'on',
  ssl_min_protocol_version: 'TLSv1.3',
  ssl_cert_file: 'server.crt',
  ssl_key_file: 'server.key',
  ssl_ca_file: 'ca.crt',
  max_connections: '300',
};

/**
 * Starts PostgreSQL 18 on loopback: TLS 1.3 only, logins by client certificate only. Data are made at first use (some
 * seconds) and found again later (under one). The server ends with this process.
 *
 * @throws Error when it does not come up; its log file is named.
 */
export async function startPostgres(options: PostgresServerOptions): Promise<PostgresServer> {
  const { folder, authority, preferredPort, settings = {} } = options;
  const native = nativePostgres();
  mkdirSync(folder, { recursive: true, mode: 0o700 });
  const place = native.user ? sharedDataPlace(folder) : folder;
  const dataDirectory = join(place, 'postgres');
  await prepareDataDirectory(native, dataDirectory, authority);
  const admin = await authority.issue('postgres', { into: join(folder, 'administrator'), usages: ['clientAuth'] });
  const logFile = join(folder, 'postgres.log');

  const { server, port } = await onFreePort(preferredPort, async (port) => {
    const flags = Object.entries({ ...SETTINGS, ...settings, port }).map(([name, value]) => `--${name}=${value}`);
    const server = startLeashed([join(native.binaries, 'postgres'), '-D', dataDirectory, ...flags], {
      ...native.user,
      cwd: '/',
      logFile,
      stopSignal: 'INT',
    });
    const starting = new AbortController();
    try {
      await Promise.race([answers(port, admin, starting.signal), server.ended]);
      return { server, port };
    } catch (error) {
      await server.kill();
      throw error;
    } finally {
      starting.abort();
    }
  });
  return {
    port,
    dataDirectory,
    admin,
    logFile,
    pid: server.pid,
    ended: server.ended,
    async rotate() {
      await installCertificate(native, dataDirectory, authority);
      await asAdmin({ port, admin }, (client) => client.query('select pg_reload_conf()'));
      Object.assign(
        admin,
        await authority.issue('postgres', { into: join(folder, 'administrator'), usages: ['clientAuth'] }),
      );
    },
    close: server.stop,
    kill: server.kill,
    async discard() {
      await server.stop();
      rmSync(native.user ? place : dataDirectory, { recursive: true, force: true });
    },
  };
}

async function answers(port: number, admin: Leaf, wanted: AbortSignal): Promise<void> {
  const deadline = Date.now() + START_TIMEOUT_MS;
  while (!wanted.aborted) {
    try {
      await asAdmin({ port, admin }, (client) => client.query('select 1'));
      return;
    } catch (error) {
      if (Date.now() > deadline) throw new Error('PostgreSQL does not answer', { cause: error });
      await sleep(20);
    }
  }
}
