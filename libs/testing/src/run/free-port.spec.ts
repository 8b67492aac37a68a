import { afterAll, expect, test } from '@jest/globals';
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { createServer } from 'node:net';
import { promisify } from 'node:util';
import { freePort } from './free-port.ts';

const servers: ReturnType<typeof createServer>[] = [];
afterAll(() => servers.forEach((server) => server.close()));

const module = new URL('free-port.ts', import.meta.url).href;
/** What another process is given that would like this port. */
async function elsewhere(preferred: number): Promise<number> {
  const program = `import { freePort } from ${JSON.stringify(module)}; console.log(await freePort(${preferred}))`;
  const { stdout } = await promisify(execFile)(process.execPath, [
    '--no-warnings',
    '--input-type=module',
    '-e',
    program,
  ]);
  return Number(stdout);
}

test('a port that was given is nobody else’s, before anything listens on it', async () => {
  const port = await freePort();
  expect(port).toBeLessThan(32_000);
  expect(await freePort(port)).toBe(port);
  expect(await elsewhere(port)).not.toBe(port);
});

test('a port on which something listens is not given', async () => {
  const server = createServer();
  servers.push(server);
  server.listen({ host: '127.0.0.1', port: await freePort() });
  await once(server, 'listening');
  const { port } = server.address() as { port: number };
  expect(await freePort(port)).not.toBe(port);
});
