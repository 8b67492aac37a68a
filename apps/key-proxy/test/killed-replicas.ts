import { randomUUID } from 'node:crypto';
import { expect } from '@jest/globals';
import { developmentCa } from '@postern/testing';
import { openSubject } from './contract/subjects.ts';
import { recordedEvents } from './recorded-events.ts';
import { startService, type ServiceProcess } from './service-process.ts';
import { openWorld } from './world.ts';

export type KilledReplicas = Awaited<ReturnType<typeof openKilledReplicas>>;

export const LONG_AGO = `update provider_writes set started_at = started_at - interval '10 minutes' where outcome is null`;
export const isWrite = ({ method, url }: { method: string; url: URL }) =>
  method === 'POST' && url.pathname.includes('/data/');

/** key-proxy before an OpenBao, and replicas of it as processes that are killed and started. */
export async function openKilledReplicas() {
  const bao = await openSubject('openbao');
  const { paths } = await developmentCa().issue('front');
  const world = await openWorld({
    env: { POSTERN_PROVIDER_HOSTS: `127.0.0.1:${bao.front.port}`, POSTERN_PROVIDER_CA_PATH: paths.ca },
  });
  const job = await world.caller('job');
  const tenant = `kp_${randomUUID().replaceAll('-', '')}`;
  let token: string;
  const send = (method: 'GET' | 'POST' | 'PUT' | 'PATCH', path: string, body?: object, url = world.url) =>
    job.send(method, `${url}${path}`, { token, body });
  const replica = (role: 'api' | 'all') =>
    startService('key-proxy', { ...world.env, POSTERN_ROLE: role, POSTERN_PUBLIC_PORT: '0' });
  /** Services start and end again and again here: on a slow machine that takes longer than a token lives. */
  async function renewToken(): Promise<void> {
    const scopes = ['secrets:read', 'secrets:write', 'secrets:configure'];
    token = await world.token(job.thumbprint, scopes, { tenant, roles: ['admin'] });
  }
  async function settledByWorker(): Promise<void> {
    const next = await replica('all');
    for (let n = 0; n < 500; n += 1) {
      const [{ open } = { open: '1' }] = await world.rows<{ open: string }>(
        `select count(*) as open from provider_writes where outcome is null`,
      );
      if (open === '0') break;
      await new Promise((resolve) => setTimeout(resolve, 100));
    }
    await next.close();
  }

  await renewToken();
  const { settings, secrets } = bao.configuration;
  const credentials = { ...settings, token: secrets['token']?.reveal() };
  await send('PUT', '/v1/providers/main', { kind: 'openbao', credentials });
  await send('PUT', '/v1/provider-default', { name: 'main', of: 'tenant' });
  return {
    bao,
    world,
    send,
    replica,
    renewToken,
    settledByWorker,
    /** What was written long ago is settled by the worker of the next start. */
    async restart(): Promise<void> {
      await world.rows(LONG_AGO);
      await settledByWorker();
    },
    /** Outcomes of the actions on a secret, oldest first. */
    async outcomes(id: string): Promise<string[]> {
      const events = (await recordedEvents(world)).filter(({ resource }) => resource?.id === id);
      return events.map(({ action, outcome, reason }) => [action, outcome, reason].filter(Boolean).join(' '));
    },
    /** Until a statement waits for the table that a test holds. */
    async waitsForLock(table: string): Promise<void> {
      for (let n = 0; n < 500; n += 1) {
        const waiting = await world.rows(`select 1 from pg_locks where not granted and relation = $1::regclass`, [
          table,
        ]);
        if (waiting.length > 0) return;
        await new Promise((resolve) => setTimeout(resolve, 50));
      }
      throw new Error('nobody waits for the table');
    },
    /** Sends a request to a replica that is killed when `at` says so. */
    async killedIn(
      path: string,
      body: object,
      at: (kill: () => Promise<void>) => void,
      method: 'POST' | 'PATCH' = 'POST',
    ): Promise<void> {
      const victim: ServiceProcess = await replica('api');
      at(() => victim.kill());
      const answer = await send(method, path, body, victim.urls.api).then(
        ({ status }) => status,
        () => 'cut',
      );
      bao.front.fault(null);
      await victim.kill();
      expect(answer).toBe('cut');
    },
    async close() {
      await world.close();
      await bao.close();
    },
  };
}
