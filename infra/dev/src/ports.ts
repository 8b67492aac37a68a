import { freePort } from '@postern/testing';

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
    const wanted = preferred[name];
    const port = await freePort(wanted === 0 || given.has(wanted) ? undefined : wanted);
    if (wanted !== 0 && port !== wanted) moved.push(name);
    given.add(port);
    ports[name] = port;
  }
  return { ports, moved };
}
