import { randomUUID } from 'node:crypto';
import { expect } from '@jest/globals';
import { developmentCa } from '@postern/testing';
import { type ConfiguredKind } from '../src/providers/configuration.ts';
import { type Caller } from './caller.ts';
import { openSubject, type ConfiguredSubject } from './contract/subjects.ts';
import { openWorld } from './world.ts';

export type Send = (
  method: 'GET' | 'POST' | 'PUT' | 'DELETE',
  path: string,
  body?: object,
) => ReturnType<Caller['send']>;
export type MovedSecrets = Awaited<ReturnType<typeof openMovedSecrets>>;

/** key-proxy with its worker, and three providers between which secrets move. */
export async function openMovedSecrets() {
  const subjects = new Map<ConfiguredKind, ConfiguredSubject>();
  for (const kind of ['aws', 'openbao', 'azure'] as const) subjects.set(kind, await openSubject(kind));
  const { paths } = await developmentCa().issue('front');
  const world = await openWorld({
    others: true,
    env: {
      POSTERN_ROLE: 'all',
      POSTERN_PROVIDER_HOSTS: [...subjects.values()].map(({ front }) => `127.0.0.1:${front.port}`).join(','),
      POSTERN_PROVIDER_CA_PATH: paths.ca,
    },
    endpoints: Object.assign({}, ...[...subjects.values()].map(({ endpoints }) => endpoints)),
  });
  const job = await world.caller('job');
  return {
    world,
    subjects,
    /** The administrator of a new tenant with all of these providers. */
    async administrator(): Promise<Send> {
      const tenant = `kp_${randomUUID().replaceAll('-', '')}`;
      const scopes = ['secrets:read', 'secrets:write', 'secrets:delete', 'secrets:configure'];
      const token = await world.token(job.thumbprint, scopes, { tenant, roles: ['admin'] });
      const send: Send = (method, path, body) => job.send(method, `${world.url}${path}`, { token, body });
      for (const [kind, { configuration }] of subjects) {
        const secrets = Object.entries(configuration.secrets).map(([name, secret]) => [name, secret.reveal()]);
        const credentials = { ...configuration.settings, ...Object.fromEntries(secrets) };
        expect(await send('PUT', `/v1/providers/${kind}`, { kind, credentials })).toMatchObject({ status: 200 });
      }
      return send;
    },
    async close() {
      await world.close();
      await Promise.all([...subjects.values()].map((subject) => subject.close()));
    },
  };
}

/** Starts a job of a move and waits for its end. */
export async function run(send: Send, id: string, path: 'start' | 'rollback' | 'finish') {
  const started = await send('POST', `/v1/secret-moves/${id}/${path}`);
  expect(started).toMatchObject({ status: 202 });
  return ended(send, started);
}

export async function ended(send: Send, started: { body: Record<string, unknown> }) {
  for (let n = 0; n < 600; n += 1) {
    const { body } = await send('GET', `/v1/jobs/${started.body['job']}`);
    if (['done', 'failed'].includes(String(body['state']))) return body;
    await new Promise((resolve) => setTimeout(resolve, 100));
  }
  throw new Error('the job did not end');
}

export const text = async (send: Send, name: string) => {
  const { body } = await send('GET', `/v1/secrets/${name}`);
  return [body['version'], (body['value'] as { text?: string } | undefined)?.text];
};
export const kindOf = async (send: Send, name: string) =>
  (await send('GET', `/v1/secrets/${name}/metadata`)).body['kind'];
