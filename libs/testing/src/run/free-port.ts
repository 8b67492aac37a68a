import { randomInt } from 'node:crypto';
import { createSocket, type Socket } from 'node:dgram';
import { once } from 'node:events';
import { createServer } from 'node:net';

/** Below the ports that Linux, macOS and Windows give to outgoing connections and to `listen(0)`. */
const FIRST = 20_000;
const AFTER_LAST = 32_000;
const ATTEMPTS = 100;
const STARTS = 3;

/** The ports that are this process's, each held by the UDP port of the same number until the process ends. */
const claims = new Map<number, Socket>();

/**
 * A port of 127.0.0.1 on which nothing listens, and which no other process that asks here is given while this one lives:
 * many suites start servers at once, and each of those listens only seconds after its port was chosen. `preferred` where
 * that one is free; asking for it again, to start a server anew where it was, is allowed.
 */
export async function freePort(preferred?: number): Promise<number> {
  if (preferred !== undefined && (await take(preferred))) return preferred;
  for (let attempt = 1; attempt <= ATTEMPTS; attempt += 1) {
    const port = randomInt(FIRST, AFTER_LAST);
    if (!claims.has(port) && (await take(port))) return port;
  }
  throw new Error(`no free port of 127.0.0.1 between ${FIRST} and ${AFTER_LAST} in ${ATTEMPTS} attempts`);
}

/**
 * Starts a server on `preferred`, or where that is taken on another port. Somebody who does not ask here may take the port
 * before the server listens, so a start that fails is tried again on a new one.
 */
export async function onFreePort<T>(preferred: number | undefined, start: (port: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start(await freePort(attempt === 1 ? preferred : undefined));
    } catch (error) {
      if (attempt === STARTS) throw error;
    }
  }
}

const take = async (port: number): Promise<boolean> => (await claim(port)) && (await isFree(port));

async function claim(port: number): Promise<boolean> {
  if (claims.has(port)) return true;
  const socket = createSocket('udp4').unref();
  try {
    socket.bind({ port, address: '127.0.0.1', exclusive: true });
    await once(socket, 'listening');
  } catch {
    socket.close();
    return false;
  }
  claims.set(port, socket);
  return true;
}

function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen({ host: '127.0.0.1', port, exclusive: true }, () => probe.close(() => resolve(true)));
  });
}
