import { randomUUID } from 'node:crypto';
import { expect } from '@jest/globals';
import { type Caller } from './caller.ts';
import { startUpstream } from './upstream.ts';
import { openWorld } from './world.ts';

export type Who = { tenant: string; sub?: string; subjectIssuer?: string | null; roles?: string[] };
export type UsedSecrets = Awaited<ReturnType<typeof openUsedSecrets>>;

/** What somebody may do with secrets of their own or of another. */
export const scopes = ['secrets:read', 'secrets:write', 'secrets:use', 'secrets:delete'];
export const newTenant = () => `kp_${randomUUID().replaceAll('-', '')}`;
/** A use that the definition of {@link openUsedSecrets} allows. */
export const asks = { method: 'GET', path: '/v1/a' };

/** Secrets at crypto-store, and a host that they may be used at. */
export async function openUsedSecrets() {
  const upstream = await startUpstream();
  const world = await openWorld({ others: true, env: upstream.env }).catch(async (error: unknown) => {
    await upstream.close();
    throw error;
  });
  const job = await world.caller('job');
  const send = (method: Parameters<Caller['send']>[0], path: string, token: string, body?: object) =>
    job.send(method, `${world.url}/v1/secrets${path}`, { token, ...(body && { body }) });
  const definitionWith = (more: object = {}) => ({
    host: upstream.host,
    placement: { kind: 'bearer' },
    methods: ['GET', 'POST'],
    path: '/v1/*',
    ...more,
  });
  const tokenOf = (who: Who, of: readonly string[] = scopes) => world.token(job.thumbprint, of, who);
  return {
    world,
    upstream,
    send,
    definitionWith,
    tokenOf,
    /** A secret of alice, and what it may be used for; answers her token. */
    async secretOf(
      tenant: string,
      name: string,
      value = 'value-of-the-secret-1f',
      definition: object = definitionWith(),
    ): Promise<string> {
      const token = await tokenOf({ tenant });
      expect((await send('POST', `/${name}`, token, { value: { text: value } })).status).toBe(201);
      expect((await send('PUT', `/${name}/use`, token, definition)).status).toBe(204);
      return token;
    },
    async close() {
      await world.close();
      await upstream.close();
    },
  };
}
