import { randomInt } from 'node:crypto';
import { createServer } from 'node:net';

/** Whether nothing listens on this loopback port. */
function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}

/**
 * Below what systems take for outgoing connections (from 32768 on Linux, from 49152 elsewhere): one of those could have the
 * port before its server listens.
 */
const REPLACEMENTS = { from: 20_000, to: 32_767 };

/** What was given in place of another, by any call: nobody may listen there yet, and it is somebody's all the same. */
const replacing = new Set<number>();

function anyPort(): number {
  for (;;) {
    const port = randomInt(REPLACEMENTS.from, REPLACEMENTS.to + 1);
    if (replacing.has(port)) continue;
    replacing.add(port);
    return port;
  }
}

/**
 * A loopback port for each name: the preferred one where it is free, else any other. No preference is 0.
 * @returns the ports and the names whose preferred port was taken
 */
export async function choosePorts<Name extends string>(
  preferred: Record<Name, number>,
): Promise<{ ports: Record<Name, number>; moved: Name[] }> {
  const ports = {} as Record<Name, number>;
  const moved: Name[] = [];
  const given = new Set<number>();
  for (const name of Object.keys(preferred) as Name[]) {
    let port = preferred[name] || anyPort();
    while (given.has(port) || !(await isFree(port))) port = anyPort();
    if (preferred[name] !== 0 && port !== preferred[name]) moved.push(name);
    given.add(port);
    ports[name] = port;
  }
  return { ports, moved };
}
