import { consent, grantToken, openCast, openHome, quietly, startStack } from '@postern/dev';
import { freePort, startLeashed } from '@postern/testing';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { fileURLToPath } from 'node:url';

import { cpuSeconds } from '../cpu.ts';
import { load, type Target } from '../load.ts';
import { type Case } from '../measure.ts';

const floor = fileURLToPath(new URL('../floors/express-redis.ts', import.meta.url));
const silently = async <T>(_row: string, run: () => Promise<{ value: T }>) => (await run()).value;

/**
 * One record of 1 KiB from the cache, over mutual TLS, with its audit event committed before the answer; ours counts the
 * CPU of the service, Postgres, both Redis, the relay and audit-sink, until the log holds the last event.
 */
export const retrieve: Case = {
  name: 'crypto-store/retrieve',
  unit: 'requests per CPU second of all processes',
  against: 'bare Express + Redis GET over the same mutual TLS',
  goal: { atLeast: 0.4 },
  async prepare() {
    const home = openHome(mkdtempSync(join(tmpdir(), 'postern-bench-')));
    const stack = await startStack({ home, step: quietly, idp: 'development' });
    const { state, certificates } = stack;
    const cast = openCast(state, certificates);
    const { grant } = await consent(state, cast, certificates.of.portal.ca, silently);
    const { token: subjectToken, type: subjectTokenType } = await grantToken(stack, cast, grant, silently);
    const asked = {
      subjectToken,
      subjectTokenType,
      audience: 'crypto-store',
      scopes: ['records:read', 'records:write'],
    };
    const { accessToken: token } = await cast.job.exchange(asked);
    const payload = randomBytes(512).toString('hex');
    await cast.job.records.store({ key: 'bench', payload }, { token });

    const port = await freePort();
    const cachePort = state.ports['redis-cache'] ?? 0;
    const password = readFileSync(home.place('secrets', 'redis-cache-crypto-store'), 'utf8').trim();
    const peer = startLeashed(
      [
        process.execPath,
        floor,
        JSON.stringify({
          port,
          tls: state.certificates['crypto-store'],
          redis: { port: cachePort, username: 'crypto-store', password },
        }),
      ],
      { logFile: home.place('logs', 'floor.log'), stopSignal: 'TERM', env: { ...process.env, NODE_ENV: 'production' } },
    );
    await stack.cache((client) => client.set('crypto-store:bench-floor', payload));

    const { cert, key, ca } = certificates.of.job;
    const tls = { cert, key, ca };
    const ours: Target = {
      url: state.urls['crypto-store'].api,
      path: '/retrieve/bench',
      headers: { authorization: `Bearer ${token}` },
      tls,
    };
    const theirs: Target = { url: `https://127.0.0.1:${port}`, path: '/value/crypto-store:bench-floor', tls };
    const pids = stack.pids();
    const ourPids = [pids['crypto-store'], pids.postgres, pids['redis-cache'], pids['redis-bus'], pids['audit-sink']];
    return {
      ours: () => perCpuSecond(ours, ourPids),
      peer: () => perCpuSecond(theirs, [peer.pid, pids['redis-cache']]),
      async close() {
        await cast.close();
        await peer.stop();
        await stack.close();
        rmSync(home.dir, { recursive: true, force: true });
      },
    };
  },
};

async function perCpuSecond(target: Target, pids: number[]): Promise<number> {
  const before = cpuSeconds(pids);
  const answered = await load(target);
  return answered / ((await settled(pids)) - before);
}

/** CPU used once the parts have finished what the load left them to do. */
async function settled(pids: number[]): Promise<number> {
  for (let used = cpuSeconds(pids); ;) {
    await delay(500);
    const now = cpuSeconds(pids);
    if (now - used < 0.06) return now;
    used = now;
  }
}
