import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { createServer, type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { afterAll, expect, test } from '@jest/globals';
import { freePort } from '../src/index.ts';

const module = fileURLToPath(new URL('../src/run/free-port.ts', import.meta.url));
const program = `
  import { freePort } from ${JSON.stringify(module)};
  process.stdout.write(String(await freePort(Number(process.argv[1]) || undefined)));
  process.stdin.resume();
`;
const others = new Set<ReturnType<typeof another>>();
afterAll(() => others.forEach((process) => process.kill('SIGKILL')));

const another = (wanted: number) =>
  spawn(process.execPath, ['--input-type=module', '-e', program, '--', String(wanted)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  });

/** Another process that asks for a port and goes on living. */
async function askedElsewhere(wanted: number) {
  const process = another(wanted);
  others.add(process);
  const [line] = (await once(process.stdout, 'data')) as [Buffer];
  return { process, port: Number(line.toString('utf8')) };
}

test('ports lie below those of outgoing connections, and none is given twice, though nobody listens there', async () => {
  const given = await Promise.all(Array.from({ length: 300 }, () => freePort()));
  expect(new Set(given).size).toBe(given.length);
  expect(Math.min(...given)).toBeGreaterThanOrEqual(20_000);
  expect(Math.max(...given)).toBeLessThan(32_768);
});

test('what one process was given another is not, until the first has ended, even by a kill', async () => {
  const { process: first, port } = await askedElsewhere(0);
  expect(await freePort(port)).not.toBe(port);
  const { port: third } = await askedElsewhere(port);
  expect(third).not.toBe(port);
  first.kill('SIGKILL');
  await once(first, 'exit');
  expect(await freePort(port)).toBe(port);
});

test('a preferred port is given where nothing listens, to its holder again and again, and replaced where something does', async () => {
  const port = await freePort();
  expect(await freePort(port)).toBe(port);
  const server = createServer();
  await new Promise<void>((listening) => server.listen(port, '127.0.0.1', listening));
  expect((server.address() as AddressInfo).port).toBe(port);
  expect(await freePort(port)).not.toBe(port);
  await new Promise((closed) => server.close(closed));
  expect(await freePort(port)).toBe(port);
});
