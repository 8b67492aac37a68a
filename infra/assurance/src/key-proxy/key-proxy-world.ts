import { closeInReverse } from '@postern/runtime';
import { freePort, testRun } from '@postern/testing';
import { randomUUID } from 'node:crypto';
import { readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { NOBODY, openServiceWorld } from '../service-world.ts';

/** key-proxy as a process of its own, with real servers beside it and an issuer of tokens. */
export type KeyProxyWorld = Awaited<ReturnType<typeof openKeyProxyWorld>>;

export type Asked = { method: string; path: string; headers?: Record<string, string>; body?: string };
export type Said = { status: number; text: string };

/** Opens the world; `arguments_` stand before the program. `close` ends all of it, also when opening failed. */
export async function openKeyProxyWorld(settings: Record<string, string> = {}, arguments_: readonly string[] = []) {
  const closing = closeInReverse();
  try {
    const [api, publicPort, management] = await Promise.all([freePort(), freePort(), freePort()]);
    const [apiUrl, publicUrl] = [`https://127.0.0.1:${api}`, `https://127.0.0.1:${publicPort}`];
    const accounts = { issuer: publicUrl, jwksUri: `${publicUrl}/.well-known/jwks.json` };
    const world = await openServiceWorld(closing, 'key-proxy', {
      issuers: (own) => [own, { ...own, ...accounts, tenant: { claim: 'tenant', prefix: 'kp_' } }],
    });
    const { postgres, redis, issuer, database, leaf } = world;
    const logFile = join(testRun().directory, `key-proxy-${randomUUID()}.log`);
    const ownSettings = {
      POSTERN_ROLE: 'api',
      POSTERN_API_PORT: String(api),
      POSTERN_PUBLIC_PORT: String(publicPort),
      POSTERN_PUBLIC_URL: publicUrl,
      POSTERN_TOKEN_EXCHANGE_URL: NOBODY,
      POSTERN_CRYPTO_STORE_URL: NOBODY,
      POSTERN_SECOND_FACTOR: 'nobody',
    };
    await world.start({ settings: { ...ownSettings, ...settings }, management, logFile, before: arguments_ });

    const send = async (dispatcher: Agent, url: string, { method, path, headers, body }: Asked): Promise<Said> => {
      const answer = await request(`${url}${path}`, {
        dispatcher,
        method: method as 'GET',
        headers: headers ?? {},
        body: body ?? null,
      });
      return { status: answer.statusCode, text: await answer.body.text() };
    };
    return {
      postgres,
      redis,
      database,
      management: `http://127.0.0.1:${management}`,
      log: () => readFile(logFile, 'utf8'),
      /** A workload at the api listener, and tokens that are bound to its certificate. */
      async clientOf(workload: string) {
        const { cert, key, ca, thumbprint } = await postgres.authority.issue(workload);
        const agent = new Agent({ connections: 16, connect: { cert, key, ca, servername: 'localhost' } });
        closing.add(() => agent.close());
        return {
          send: (asked: Asked) => send(agent, apiUrl, asked),
          token: (scopes: readonly string[], more: object = {}) =>
            issuer.mint({ audience: 'key-proxy', scopes, boundTo: thumbprint, actors: [workload], ...more }),
        };
      },
      /** Requests to the public listener from one address, over a connection of its own. */
      from(localAddress: string) {
        const agent = new Agent({ localAddress, connect: { ca: leaf.ca } });
        closing.add(() => agent.close());
        return async (path: string, body: object, token?: string): Promise<Said & { ms: number }> => {
          const begun = performance.now();
          const headers = {
            'content-type': 'application/json',
            ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          };
          const said = await send(agent, publicUrl, {
            method: 'POST',
            path,
            headers,
            body: JSON.stringify(body),
          });
          return { ...said, ms: performance.now() - begun };
        };
      },
      close: closing.close,
    };
  } catch (error) {
    await closing.close();
    throw error;
  }
}
