import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { copyFile, mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { connect } from 'node:tls';
import { fileURLToPath } from 'node:url';

import { afterAll, beforeAll, expect, test } from '@jest/globals';

import { developmentCa } from '../src/authority/development-ca.ts';
import { newDpopKey, openRelyingParty, type RelyingParty } from '../src/identity-provider/contract/relying-party.ts';
import { callback, contractRealm, createKeys } from '../src/identity-provider/contract/world.ts';
import {
  openHeadlessBrowser,
  startIdentityProvider,
  type HeadlessBrowser,
  type Realm,
} from '../src/identity-provider/index.ts';
import { freePort } from '../src/run/free-port.ts';

const main = fileURLToPath(new URL('../src/identity-provider/main.ts', import.meta.url));
const { keys, jwks } = createKeys();
const realm = contractRealm({ name: 'postern', rotation: 'off', jwks, logoutUrl: 'https://127.0.0.1:1/' });

let directory: string;
let settings: string;
let port: number;
let manager: RelyingParty;
let app: RelyingParty;
let browser: HeadlessBrowser;
let running: ChildProcess | undefined;

/** The provider as `npm start` runs it: a process of its own, told everything by one file. */
async function start(): Promise<{ ready: boolean; issuer: string }> {
  running = spawn(process.execPath, [main, settings], { stdio: ['ignore', 'pipe', 'pipe'] });
  if (!running.stdout || !running.stderr) throw new Error('no output');
  running.stderr.pipe(process.stderr);
  const [line] = (await once(running.stdout, 'data')) as [Buffer];
  return JSON.parse(line.toString()) as { ready: boolean; issuer: string };
}

async function stop(): Promise<number | null> {
  running?.kill('SIGTERM');
  const [code] = (await once(running as ChildProcess, 'exit')) as [number | null];
  return code;
}

beforeAll(async () => {
  directory = await mkdtemp(join(tmpdir(), 'postern-idp-'));
  settings = join(directory, 'settings.json');
  const leaf = await developmentCa().issue('identity-provider', { into: join(directory, 'tls') });
  port = await freePort();
  const { cert: certPath, key: keyPath, ca: caPath } = leaf.paths;
  const dataDir = join(directory, 'data');
  await writeFile(
    settings,
    JSON.stringify({ port, profile: 'fedramp-moderate', dataDir, certPath, keyPath, caPath, realm }),
  );
  const issuer = `https://127.0.0.1:${port}/realms/postern`;
  const key = { private: keys.authManager, kid: keys.authManagerKid };
  manager = openRelyingParty({ issuer, ca: leaf.ca, clientId: 'auth-manager', key });
  app = openRelyingParty({ issuer, ca: leaf.ca, clientId: 'browser' });
  browser = openHeadlessBrowser({ ca: leaf.ca });
});

afterAll(async () => {
  running?.kill('SIGKILL');
  await Promise.all([manager.close(), app.close(), browser.close()]);
  await rm(directory, { recursive: true, force: true });
});

test('keys, offline tokens, consent and browser logins outlive a restart of the process', async () => {
  expect((await start()).ready).toBe(true);
  const dpop = newDpopKey();
  const login = { scope: 'openid offline_access', dpop, browser };
  expect((await app.login('alice', { par: false, browser })).status).toBe(200);
  const { status, body } = await manager.login('alice', login);
  expect(status).toBe(200);
  const jwksBefore = await app.get(app.endpoint('certs'));
  expect(await stop()).toBe(0);

  await start();
  expect((await app.get(app.endpoint('certs'))).body).toEqual(jwksBefore.body);
  expect((await manager.refresh(body['refresh_token'], {}, { dpop })).status).toBe(200);
  const { url } = await manager.authorization(login);
  expect((await browser.open(url, callback)).location).toContain('code=');
  expect(await stop()).toBe(0);
});

test('R9: a realm with a certificate-bound client that may have offline tokens does not start', async () => {
  const { cert, key, ca } = await developmentCa().issue('identity-provider');
  const broken: Realm = {
    ...realm,
    clients: realm.clients.map((client) =>
      client.clientId === 'portal' ? { ...client, optionalScopes: ['offline_access'] } : client,
    ),
  };
  await expect(startIdentityProvider({ tls: { cert, key, ca }, realm: broken })).rejects.toThrow(/R9/);
});

test('a certificate that is there before its key does not end the process: both are shown once they belong together', async () => {
  await start();
  const next = await developmentCa().issue('identity-provider', { into: join(directory, 'next') });
  const replace = (file: 'cert' | 'key') => copyFile(next.paths[file], next.paths[file].replace('/next/', '/tls/'));
  const before = await shown();
  const refused = once(running!.stderr!, 'data') as Promise<[Buffer]>;
  await replace('cert');
  expect(String((await refused)[0])).toContain('these certificates are not taken');
  expect(await shown()).toBe(before);
  await replace('key');
  // The test's deadline is the only one.
  while ((await shown()) === before) await delay(20);
  expect(await stop()).toBe(0);
});

/** The fingerprint of the certificate that the provider shows. */
async function shown(): Promise<string> {
  const socket = connect({ host: '127.0.0.1', port, rejectUnauthorized: false });
  await once(socket, 'secureConnect');
  const { fingerprint256 } = socket.getPeerCertificate();
  socket.destroy();
  return fingerprint256;
}
