import { createServer, type AddressInfo } from 'node:net';

const ATTEMPTS = 3;

/** A port of 127.0.0.1 that was free a moment ago; `preferred` when that one is. */
export async function freePort(preferred = 0): Promise<number> {
  const port = await tryPort(preferred);
  if (port !== null) return port;
  return (await tryPort(0))!;
}

/**
 * Starts a server on `preferred`, or where that is taken on another port. Between looking and listening somebody else
 * may take the port, so a start that fails is tried again on a new one.
 */
export async function onFreePort<T>(preferred: number | undefined, start: (port: number) => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt += 1) {
    try {
      return await start(await freePort(attempt === 1 ? preferred : 0));
    } catch (error) {
      if (attempt === ATTEMPTS) throw error;
    }
  }
}

function tryPort(wanted: number): Promise<number | null> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(null));
    probe.listen({ host: '127.0.0.1', port: wanted, exclusive: true }, () => {
      const { port } = probe.address() as AddressInfo;
      probe.close(() => resolve(port));
    });
  });
}
