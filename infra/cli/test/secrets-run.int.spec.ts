import { spawn } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import { type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { developmentCa, type Leaf } from '@postern/testing';
import { command } from '../src/commands/secrets-run.ts';
import { parse } from '../src/table/parse.ts';

let service: Server;
let job: Leaf;
let from: string;
const folder = mkdtempSync(join(tmpdir(), 'postern-run-'));
const main = fileURLToPath(new URL('../src/main.ts', import.meta.url));
const secrets: Record<string, object> = {
  'db/password': { text: 'p w"d$x' },
  key: { base64: Buffer.from([0, 1, 2, 255]).toString('base64') },
};

beforeAll(async () => {
  const ca = developmentCa();
  const leaf = await ca.issue('key-proxy');
  job = await ca.issue('job');
  service = createServer({ cert: leaf.cert, key: leaf.key, ca: leaf.ca, requestCert: true }, (request, response) => {
    const name = decodeURIComponent(new URL(request.url ?? '', 'https://x').pathname.replace('/v1/secrets/', ''));
    const value = request.headers.authorization === 'Bearer t' ? secrets[name] : undefined;
    response.writeHead(value ? 200 : 404, { 'content-type': value ? 'application/json' : 'application/problem+json' });
    response.end(
      JSON.stringify(value ? { id: '1', name, version: 1, value } : { code: 'secret_not_found', status: 404 }),
    );
  });
  await new Promise<void>((resolve) => service.listen(0, '127.0.0.1', resolve));
  from = `https://127.0.0.1:${(service.address() as AddressInfo).port}`;
  writeFileSync(join(folder, 'token'), 't\n', { mode: 0o600 });
});
afterAll(async () => {
  rmSync(folder, { recursive: true });
  service.closeAllConnections();
  await new Promise((resolve) => service.close(resolve));
});

const commandLine = (words: readonly string[]) => {
  const { cert, key, ca } = job.paths;
  const at = ['--from', from, '--cert', cert, '--key', key, '--ca', ca, '--token', 'token'];
  return [process.execPath, main, 'secrets', 'run', ...at, ...words] as const;
};

/** Runs the command as a process; `ready` is called once the program has written something. */
async function secretsRun(words: readonly string[], ready: (pid: number) => void = () => {}) {
  const [node, ...line] = commandLine(words);
  const child = spawn(node, line, {
    cwd: folder,
    // Out of reach of the terminal that the tests are run in.
    detached: true,
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk: Buffer) => {
    out += chunk.toString();
    ready(child.pid ?? 0);
  });
  child.stderr.on('data', (chunk: Buffer) => (err += chunk.toString()));
  const code = await new Promise<number | null>((resolve) => child.on('close', resolve));
  return { code, out, err };
}

const node = (code: string) => ['--', process.execPath, '-e', code];
const FILES = ['--env', 'DB_PASSWORD=db/password', '--file', 'KEY_FILE=key'];

test('a program gets its secrets as variable and as file of mode 0600, which is gone when it ends; its exit code is passed on', async () => {
  const program = `
    const { statSync, readFileSync } = require('node:fs');
    const { dirname } = require('node:path');
    const path = process.env.KEY_FILE;
    console.log(JSON.stringify({ password: process.env.DB_PASSWORD, key: readFileSync(path, 'hex'), path,
      mode: statSync(path).mode & 0o777, folder: statSync(dirname(path)).mode & 0o777, words: process.argv.slice(1) }));
    process.exit(7);`;
  const { code, out } = await secretsRun([...FILES, ...node(program), 'a b', '--env']);
  const told = JSON.parse(out) as Record<string, unknown>;
  expect({ code, ...told }).toMatchObject({
    code: 7,
    password: 'p w"d$x',
    key: '000102ff',
    mode: 0o600,
    folder: 0o700,
    words: ['a b', '--env'],
  });
  expect(existsSync(String(told['path']))).toBe(false);
  if (existsSync('/dev/shm')) expect(told['path']).toMatch(/^\/dev\/shm\//);
});

test('a signal goes to the program, which may end as it likes; what it leaves behind is nothing', async () => {
  const before = existsSync('/dev/shm') ? readdirSync('/dev/shm') : [];
  const sending = async (signal: NodeJS.Signals, program: string) => {
    let sent = false;
    return secretsRun([...FILES, ...node(`${program}; console.log('ready'); setInterval(() => {}, 1000);`)], (pid) => {
      if (!sent) process.kill(pid, signal);
      sent = true;
    });
  };
  const ending = (signal: string) => `process.on('${signal}', () => { console.log('ending'); process.exit(3); })`;
  for (const signal of ['SIGTERM', 'SIGINT', 'SIGHUP'] as const)
    expect(await sending(signal, ending(signal))).toMatchObject({ code: 3, out: 'ready\nending\n' });
  // Nobody in the program holds it: 128 and the number of the signal.
  expect(await sending('SIGTERM', '')).toMatchObject({ code: 143, out: 'ready\n' });
  const ended = await secretsRun([...FILES, ...node(`process.kill(process.pid, 'SIGKILL')`)]);
  expect(ended.code).toBe(137);
  if (existsSync('/dev/shm'))
    expect(readdirSync('/dev/shm').filter((name) => !before.includes(name) && name.startsWith('postern-'))).toEqual([]);
});

test('a key of the terminal reaches the program once, what is sent to the command alone as well', async () => {
  const program = join(folder, 'counting.cjs');
  writeFileSync(
    program,
    `let keys = 0;
    process.on('SIGINT', () => console.log('key ' + (keys += 1)));
    process.on('SIGTERM', () => { console.log('keys in all: ' + keys); process.exit(5); });
    console.log('run by ' + process.ppid);
    setInterval(() => {}, 1000);`,
  );
  const line = commandLine([...FILES, '--', process.execPath, program]).map((word) => `'${word}'`);
  // script(1) gives it a terminal of its own, and what is written to its input is typed there.
  const terminal = spawn('script', ['-qec', `exec ${line.join(' ')}`, '/dev/null'], { cwd: folder, detached: true });
  let shown = '';
  let [typed, ended] = [false, false];
  terminal.stdout.on('data', (chunk: Buffer) => {
    shown += chunk.toString();
    const by = /run by (\d+)/.exec(shown)?.[1];
    if (by && !typed) typed = terminal.stdin.write('\x03');
    // Sent after the key: whatever the command makes of that one, it makes of it before this.
    if (by && shown.includes('key 1') && !ended) ended = process.kill(Number(by), 'SIGTERM');
  });
  const code = await new Promise<number | null>((resolve) => terminal.on('close', resolve));
  expect([/keys in all: \d/.exec(shown)?.[0], code]).toEqual(['keys in all: 1', 5]);
}, 120_000);

test('where the command itself is killed, its files go all the same', async () => {
  const told = Promise.withResolvers<{ path: string; pid: number }>();
  const program = `console.log(JSON.stringify({ path: process.env.KEY_FILE, pid: process.pid })); setInterval(() => {}, 1000)`;
  const [node, ...line] = commandLine([...FILES, '--', process.execPath, '-e', program]);
  const child = spawn(node, line, { cwd: folder, detached: true, stdio: ['ignore', 'pipe', 'inherit'] });
  child.stdout.on('data', (chunk: Buffer) => told.resolve(JSON.parse(chunk.toString())));
  const { path, pid } = await told.promise;
  const before = existsSync(path);
  child.kill('SIGKILL');
  for (let n = 0; n < 600 && existsSync(dirname(path)); n += 1) await new Promise((resolve) => setTimeout(resolve, 50));
  const after = existsSync(dirname(path));
  process.kill(pid, 'SIGKILL');
  expect([before, after]).toEqual([true, false]);
}, 120_000);

test('where a secret cannot be read the program is not run, and nothing of another one is told', async () => {
  const missing = await secretsRun(['--env', 'A=db/password', '--env', 'B=missing', ...node(`console.log('ran')`)]);
  expect(missing).toMatchObject({ code: 1, out: '' });
  expect(missing.err).toContain('secret_not_found');
  expect(missing.err).not.toContain('p w');
  expect(await secretsRun(['--env', 'A=key', ...node('')])).toMatchObject({ code: 1, out: '' });
  expect((await secretsRun(['--env', 'A=db/password', '--', '/no/such/program'])).code).toBe(127);
  // The token's file: there, and no program.
  const other = await secretsRun([...FILES, '--', join(folder, 'token')]);
  expect(other).toEqual({ code: 126, out: '', err: '' });
  for (const wrong of [['--env', '1A=x'], ['--env', 'A'], []])
    expect((await secretsRun([...wrong, ...node('')])).code).toBe(64);
});

test('the example of the README is a command line that this takes', () => {
  const readme = readFileSync(fileURLToPath(new URL('../README.md', import.meta.url)), 'utf8');
  const line = /^npx postern secrets run (.*)$/m.exec(readme)?.[1] ?? '';
  expect(parse(['secrets', 'run'], command, line.split(' '))).toMatchObject({
    values: { as: 'alice', env: ['DB_PASSWORD=db/password'], file: ['TLS_KEY=tls'] },
    positionals: ['./server', '--port', '8080'],
  });
});
