import { workloadToken } from '@postern/cli';
import { consent, openCast, openHome, quietly, startStack } from '@postern/dev';
import { freePort, startLeashed } from '@postern/testing';
import { execFile } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';

import { costOf } from '../crypto-store-world.ts';
import { openKeycloakPeer } from '../keycloak-peer.ts';
import { type Target } from '../load.ts';
import { SERVICE_WARM_PAIRS, type Case } from '../measure.ts';

const floor = fileURLToPath(new URL('../floors/express-redis.ts', import.meta.url));
const keeping = fileURLToPath(new URL('../../../../apps/auth-manager/test/keep-alive-process.ts', import.meta.url));

/** The stack, strict audit on, and alice's grant in it, which the job uses. */
async function openOurs() {
  const home = openHome(mkdtempSync(join(tmpdir(), 'postern-bench-')));
  const stack = await startStack({ home, step: quietly, idp: 'development' });
  const { state, certificates } = stack;
  const cast = openCast(state, certificates);
  const { cert, key, ca } = certificates.of.job;
  const tls = { cert, key, ca };
  const { grant } = await consent(state, cast, ca, async (_row, run) => (await run()).value);
  return {
    home,
    stack,
    tls,
    /** Uses of the grant by a job whose token lives for ten minutes: a new one for each measurement. */
    async measure(): Promise<number> {
      const w = await workloadToken({ issuer: state.issuer, clientId: 'job', postern: cast.job });
      const asked = { subjectToken: w, audience: 'auth-manager', scopes: ['grants:use'] };
      const { accessToken } = await cast.job.exchange(asked);
      const headers = { authorization: `Bearer ${accessToken}`, 'content-type': 'application/json' };
      const body = JSON.stringify({ audience: 'token-exchange' });
      const path = `/v1/grants/${grant}/access-token`;
      const target: Target = {
        url: state.urls['auth-manager'].api,
        tls,
        call: () => ({ method: 'POST', path, headers, body }),
      };
      const pids = stack.pids();
      const all = [pids['auth-manager'], pids.postgres, pids['redis-bus'], pids['audit-sink']];
      return (await costOf(target, all)).perCpuSecond;
    },
    async close() {
      await cast.close();
      await stack.close();
      rmSync(home.dir, { recursive: true, force: true });
    },
  };
}

/**
 * The token of a grant that needs no call to the provider, over mutual TLS, each use counted and recorded before it is
 * answered; ours counts the CPU of the service, Postgres, the bus and audit-sink, until the log holds the last event.
 */
export const grantToken: Case = {
  name: 'auth-manager/grant-token',
  unit: 'requests per CPU second of all processes',
  against: 'bare Express + Redis GET over the same mutual TLS',
  goal: { atLeast: 0.4 },
  warmPairs: SERVICE_WARM_PAIRS,
  async prepare() {
    const { home, stack, tls, measure, close } = await openOurs();
    const { state } = stack;
    const port = await freePort();
    const redis = {
      port: state.ports['redis-cache'] ?? 0,
      username: 'crypto-store',
      password: readFileSync(join(home.dir, 'secrets', 'redis-cache-crypto-store'), 'utf8').trim(),
    };
    const configuration = JSON.stringify({ port, tls: state.certificates['crypto-store'], redis });
    const peer = startLeashed([process.execPath, floor, configuration], {
      logFile: join(home.dir, 'logs', 'floor.log'),
      stopSignal: 'TERM',
      env: { ...process.env, NODE_ENV: 'production' },
    });
    await stack.cache((client) => client.set('crypto-store:floor', 'x'.repeat(1_024)));
    const theirs: Target = {
      url: `https://127.0.0.1:${port}`,
      tls,
      call: () => ({ method: 'GET', path: '/value/crypto-store:floor' }),
    };
    return {
      ours: measure,
      peer: async () => (await costOf(theirs, [peer.pid, stack.pids()['redis-cache']])).perCpuSecond,
      async close() {
        await peer.stop();
        await close();
      },
    };
  },
};

/** The same beside what a job without Postern does at each use: Keycloak's own refresh of an offline token. */
export const offlineRefresh: Case = {
  name: 'auth-manager/offline-refresh',
  unit: 'requests per CPU second of all processes',
  against:
    "Keycloak 26's own refresh of an offline token over mutual TLS: default JIT, warmed, on its embedded database",
  goal: { atLeast: 4 },
  warmPairs: SERVICE_WARM_PAIRS,
  async prepare() {
    const [ours, peer] = [
      await openOurs(),
      await openKeycloakPeer('openid offline_access records:read', ({ refresh_token: token = '' }) =>
        new URLSearchParams({ grant_type: 'refresh_token', client_id: 'portal', refresh_token: token }).toString(),
      ),
    ];
    return {
      ours: ours.measure,
      peer: async () => (await costOf(peer.target, peer.pids)).perCpuSecond,
      async close() {
        await peer.close();
        await ours.close();
      },
    };
  },
};

const GRANTS = 10_000;
const PROCESS_MS = 3_600_000;

type Kept = { most: number; mean: number; grewMiB: number };

/**
 * Grants that nobody uses, kept alive for two periods by a clock that is moved minute by minute: real database, locks and
 * journal, a scripted provider. Memory in use that grew by more than 8 MiB from the first period to the second ends it.
 */
export const keepAlive: Case = {
  name: 'auth-manager/keep-alive',
  unit: 'calls at the provider in a minute',
  against: 'the mean of all minutes',
  goal: { atMost: 1.3 },
  async prepare() {
    // Once is enough: what is measured does not depend on the machine.
    let kept: Promise<Kept> | undefined;
    const measured = () =>
      (kept ??= promisify(execFile)(process.execPath, ['--expose-gc', '--no-warnings', keeping, String(GRANTS)], {
        timeout: PROCESS_MS,
      }).then(({ stdout }) => {
        const told = JSON.parse(stdout) as Kept;
        if (told.grewMiB > 8) throw new Error(`memory grew by ${told.grewMiB.toFixed(0)} MiB`);
        return told;
      }));
    return {
      ours: async () => (await measured()).most,
      peer: async () => (await measured()).mean,
      close: async () => {},
    };
  },
};
