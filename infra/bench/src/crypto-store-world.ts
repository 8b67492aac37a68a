import { logInAs } from '@postern/cli';
import { openCast, openHome, quietly, startStack, type Stack } from '@postern/dev';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { cpuSecondsOnceIdle } from './cpu.ts';
import { load, type Call, type Loaded, type LoadOptions, type Target } from './load.ts';

/** How many records of 1 KiB a case reads and writes, in turn. */
export const RECORDS = 1_000;
export const PAYLOAD = randomBytes(512).toString('hex');
export const keyOf = (n: number): string => `bench-${n % RECORDS}`;

const SCOPES = ['records:read', 'records:write', 'transit:encrypt', 'transit:decrypt'];

export type CryptoStoreWorld = {
  stack: Stack;
  home: string;
  /** The stack's service, as a workload with alice's token calls it. */
  target(call: (n: number) => Call): Target;
  tls: Target['tls'];
  /** The service and everything that a request needs: Postgres, both Redis, audit-sink. */
  pids: number[];
  close(): Promise<void>;
};

/** The whole stack, and a thousand records in it. */
export async function openCryptoStore(): Promise<CryptoStoreWorld> {
  const home = openHome(mkdtempSync(join(tmpdir(), 'postern-bench-')));
  const stack = await startStack({ home, step: quietly, idp: 'development' });
  const targets = await openTarget(stack);
  const pids = stack.pids();
  return {
    stack,
    home: home.dir,
    target: targets.target,
    tls: targets.tls,
    pids: [pids['crypto-store'], pids.postgres, pids['redis-cache'], pids['redis-bus'], pids['audit-sink']],
    async close() {
      await targets.close();
      await stack.close();
      rmSync(home.dir, { recursive: true, force: true });
    },
  };
}

export type Targets = Pick<CryptoStoreWorld, 'target' | 'tls' | 'close'>;

/** Puts a thousand records into a stack's crypto-store, and calls it with alice's token. */
export async function openTarget({ state, certificates }: Stack): Promise<Targets> {
  const cast = openCast(state, certificates);
  const { cert, key, ca } = certificates.of.portal;
  const realm = { issuer: state.issuer, clientId: 'portal', postern: cast.portal, ca };
  const subjectToken = await logInAs({ username: 'alice', password: state.users['alice'] ?? '' }, realm);
  const { accessToken } = await cast.portal.exchange({ subjectToken, audience: 'crypto-store', scopes: SCOPES });
  const tls = { cert, key, ca };
  for (let n = 0; n < RECORDS; n += 1) {
    await cast.portal.records.store({ key: keyOf(n), payload: PAYLOAD }, { token: accessToken });
  }
  return {
    tls,
    target: (call) => ({
      url: state.urls['crypto-store'].api,
      tls,
      call: (n) => {
        const { headers, ...rest } = call(n);
        return { ...rest, headers: { ...headers, authorization: `Bearer ${accessToken}` } };
      },
    }),
    close: () => cast.close(),
  };
}

/** A load, and what the processes used of CPU from its first request until they had finished what it left them to do. */
export async function costOf(
  target: Target,
  pids: number[],
  options: LoadOptions = {},
): Promise<Loaded & { perCpuSecond: number; cpu: number }> {
  const before = await cpuSecondsOnceIdle(pids);
  const loaded = await load(target, options);
  const cpu = (await cpuSecondsOnceIdle(pids)) - before;
  return { ...loaded, cpu, perCpuSecond: loaded.answered / cpu };
}
