import { createServer } from 'node:net';

/** Whether nothing listens on this loopback port. */
function isFree(port: number): Promise<boolean> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', () => resolve(false));
    probe.listen(port, '127.0.0.1', () => probe.close(() => resolve(true)));
  });
}

/** A port that the system hands out; free at the time of asking. */
function anyFree(): Promise<number> {
  return new Promise((resolve, reject) => {
    const probe = createServer();
    probe.once('error', reject);
    probe.listen(0, '127.0.0.1', () => {
      const address = probe.address();
      const port = typeof address === 'object' && address ? address.port : 0;
      probe.close(() => resolve(port));
    });
  });
}

/**
 * A loopback port for each name: the preferred one where it is free, else any other.
 * @returns the ports and the names whose preferred port was taken
 */
export async function choosePorts<Name extends string>(
  preferred: Record<Name, number>,
): Promise<{ ports: Record<Name, number>; moved: Name[] }> {
  const ports = {} as Record<Name, number>;
  const moved: Name[] = [];
  const given = new Set<number>();
  for (const name of Object.keys(preferred) as Name[]) {
    let port = preferred[name];
    if (given.has(port) || !(await isFree(port))) {
      moved.push(name);
      do port = await anyFree();
      while (given.has(port));
    }
    given.add(port);
    ports[name] = port;
  }
  return { ports, moved };
}
