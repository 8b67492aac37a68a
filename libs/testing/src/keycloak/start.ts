import { createHash } from 'node:crypto';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';

import { Agent, request } from 'undici';

import { type RunningIdentityProvider } from '../identity-provider/start.ts';
import { freePort } from '../run/free-port.ts';
import { startLeashed, type Leashed } from '../run/leash.ts';
import { openAdministration } from './administration.ts';
import { javaEnvironment, keepTemplate, keycloakDistribution, keycloakHome, restoreTemplate } from './distribution.ts';

export type KeycloakOptions = {
  /** The certificate of the workload `identity-provider`, and the CA of its clients (PEM). */
  tls: { cert: string; key: string; ca: string };
  /** Realms as `realmFor` gives them. One that is there already is left alone unless its description has changed. */
  realms: readonly ({ realm: string } & Record<string, unknown>)[];
  /** Port on 127.0.0.1; a free one when left out. */
  port?: number;
  /** Keeps the database across restarts; a new one, deleted at the end, when left out. */
  dataDir?: string;
  /** `default`: both of Java's compilers, as in production; else the fast start of a short-lived server. */
  compiler?: 'default';
  /** Another build of the server, on an empty database; the tests' own unless given. */
  distribution?: string;
};

export type RunningKeycloak = {
  /** The events that a realm keeps, newest first, as its Admin API tells them. */
  events(realm: string): Promise<{ id: string; type: string; time: number }[]>;
  /** `https://127.0.0.1:PORT` */
  url: string;
  /** Of the server's process, which starts Java. */
  pid: number;
  /** Who may administer it. */
  administrator: { username: string; password: string };
  issuer(realm: string): string;
  /** Adds a realm, or replaces one of that name. */
  addRealm(realm: KeycloakOptions['realms'][number]): Promise<void>;
  /** The provider as the tests and the tour see it: one realm of this server. */
  realm(name: string): Omit<RunningIdentityProvider, 'close'>;
  close(): Promise<void>;
};

const admin = { username: 'postern-admin', password: 'development-only-2026!' };
const READY_TIMEOUT_MS = 280_000;
const POLL_MS = 150;
const ATTEMPTS = 3;
const PORT_TAKEN = 'Unable to start HTTP server';

/** Waits for `/health/ready`: the port opens, and the log says "started", before the database is there. */
async function untilReady(url: string, ca: string, server: Leashed): Promise<void> {
  const dispatcher = new Agent({ connect: { ca } });
  const deadline = Date.now() + READY_TIMEOUT_MS;
  const poll = async () => {
    while (Date.now() < deadline) {
      const answer = await request(`${url}/health/ready`, { dispatcher }).catch(() => undefined);
      await answer?.body.dump();
      if (answer?.statusCode === 200) return;
      await sleep(POLL_MS);
    }
    throw new Error('Keycloak did not become ready in time');
  };
  try {
    await Promise.race([poll(), server.ended]);
  } finally {
    await dispatcher.close();
  }
}

/** Starts the server process on a home folder; ready when this returns. */
async function startServer(
  home: string,
  tls: KeycloakOptions['tls'],
  { port, managementPort }: { port: number; managementPort: number },
  compiler?: 'default',
): Promise<Leashed> {
  const file = async (name: string, text: string) => {
    const path = join(home, name);
    await writeFile(path, text, { mode: 0o600 });
    return path;
  };
  const [cert, key, ca] = [
    await file('tls.crt', tls.cert),
    await file('tls.key', tls.key),
    await file('ca.crt', tls.ca),
  ];
  const server = startLeashed(
    [
      join(home, 'bin/kc.sh'),
      'start',
      '--optimized',
      '--http-enabled=false',
      `--hostname=https://127.0.0.1:${port}`,
      '--http-host=127.0.0.1',
      '--http-management-host=127.0.0.1',
      `--http-management-port=${managementPort}`,
      `--https-port=${port}`,
      `--https-certificate-file=${cert}`,
      `--https-certificate-key-file=${key}`,
      `--truststore-paths=${ca}`,
    ],
    {
      logFile: join(home, 'keycloak.log'),
      stopSignal: 'TERM',
      env: {
        ...process.env,
        ...(compiler === undefined && javaEnvironment),
        KC_BOOTSTRAP_ADMIN_USERNAME: admin.username,
        KC_BOOTSTRAP_ADMIN_PASSWORD: admin.password,
      },
    },
  );
  try {
    await untilReady(`https://127.0.0.1:${managementPort}`, tls.ca, server);
  } catch (error) {
    // Not by a kill: that ends the script, and leaves the Java that it has started.
    await server.stop();
    throw error;
  }
  return server;
}

/**
 * Starts the real Keycloak over TLS on loopback: installs it when it is missing, starts from a database that has the
 * master realm already (made once, kept in the cache folder), and gives it the realms over its admin interface.
 * @throws KeycloakUnavailable when the machine cannot have it
 */
export async function startKeycloak({
  tls,
  realms,
  port: wanted,
  dataDir,
  compiler,
  distribution: other,
}: KeycloakOptions): Promise<RunningKeycloak> {
  const distribution = other ?? (await keycloakDistribution());
  let port = 0;
  const directory = await mkdtemp(join(tmpdir(), 'postern-keycloak-'));
  const data = dataDir ?? join(directory, 'own-data');
  await mkdir(data, { recursive: true });
  const home = await keycloakHome(distribution, join(directory, 'home'), data);

  // Java listens half a minute after the ports were looked for, and they may be somebody else's by then.
  const start = async (attempt = 1): Promise<Leashed> => {
    port = wanted ?? (await freePort());
    try {
      return await startServer(home, tls, { port, managementPort: await freePort() }, compiler);
    } catch (error) {
      const log = await readFile(join(home, 'keycloak.log'), 'utf8').catch(() => '');
      if (attempt === ATTEMPTS || log.split(PORT_TAKEN).length <= attempt) throw error;
      return start(attempt + 1);
    }
  };
  let server: Leashed;
  if (other || existsSync(join(data, 'h2')) || (await restoreTemplate(data))) {
    server = await start();
  } else {
    await (await start()).stop();
    await keepTemplate(data);
    server = await start();
  }

  const url = `https://127.0.0.1:${port}`;
  const administration = openAdministration({ url, ca: tls.ca, ...admin });
  const close = async () => {
    await administration.close();
    await server.stop();
    await rm(directory, { recursive: true, force: true });
  };
  try {
    for (const realm of realms) await provideRealm(administration, realm, data);
  } catch (error) {
    await close();
    throw error;
  }
  const issuer = (realm: string) => `${url}/realms/${realm}`;
  return {
    url,
    pid: server.pid,
    administrator: { ...admin },
    issuer,
    events: administration.events,
    addRealm: administration.replaceRealm,
    realm: (name) => ({
      issuer: issuer(name),
      logoutUser: (username) => administration.logoutUser(name, username),
      withdrawConsent: (username, clientId) => administration.withdrawConsent(name, username, clientId),
    }),
    close,
  };
}

/** Creates a realm, or replaces it when its description is not the one it was made from. */
async function provideRealm(
  administration: ReturnType<typeof openAdministration>,
  realm: KeycloakOptions['realms'][number],
  data: string,
): Promise<void> {
  const note = join(data, `${realm.realm}.sha256`);
  const digest = createHash('sha256').update(JSON.stringify(realm)).digest('hex');
  const known = await readFile(note, 'utf8').catch(() => '');
  if (known === digest) return;
  await administration.replaceRealm(realm);
  await writeFile(note, digest);
}
