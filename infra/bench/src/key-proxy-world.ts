import { openHome, quietly, startStack } from '@postern/dev';
import { developmentCa } from '@postern/testing';
import { passOnTo, startHttpsFront, type HttpsFront } from '@postern/testing/https-front';
import { startOpenBao } from '@postern/testing/openbao';
import { randomBytes } from 'node:crypto';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';
import { type Target } from './load.ts';

/** How many secrets of 1 KiB a case reads, in turn. */
export const SECRETS = 200;
export const VALUE = randomBytes(512).toString('hex');
export const nameOf = (n: number): string => `bench-${n % SECRETS}`;

/** The stack with a company of key-proxy's own, whose secrets lie in an OpenBao behind a front that can be slow and counts. */
export async function openKeyProxy() {
  const bao = await startOpenBao();
  const front: HttpsFront = await startHttpsFront(passOnTo(bao.address));
  const home = openHome(mkdtempSync(join(tmpdir(), 'postern-bench-')));
  const authority = await developmentCa().issue('front');
  const settings = {
    'key-proxy': {
      POSTERN_PROVIDER_HOSTS: `127.0.0.1:${front.port}`,
      POSTERN_PROVIDER_CA_PATH: authority.paths.ca,
      POSTERN_SECOND_FACTOR: 'nobody',
    },
  };
  const stack = await startStack({ home, step: quietly, idp: 'development', settings: async () => settings });
  const { cert, key, ca } = stack.certificates.of.portal;
  const tls = { cert, key, ca };
  const url = stack.state.urls['key-proxy'].api;
  const agent = new Agent({ connections: 50, connect: tls });
  let token = '';

  async function send(method: 'POST' | 'PUT' | 'GET', path: string, body?: object): Promise<Record<string, unknown>> {
    const answer = await request(`${url}${path}`, {
      dispatcher: agent,
      method,
      headers: { 'content-type': 'application/json', ...(token === '' ? {} : { authorization: `Bearer ${token}` }) },
      body: body === undefined ? null : JSON.stringify(body),
    });
    const said = (await answer.body.json()) as Record<string, unknown>;
    if (answer.statusCode >= 300) throw new Error(`${method} ${path} answered ${answer.statusCode}`);
    return said;
  }

  const account = { email: 'bench@foods.example', password: randomBytes(16).toString('hex') };
  await send('POST', '/signup', {
    ...account,
    company_name: 'Bench',
    contact_name: 'Bench',
    phone_number: '1',
    kms_selection: 'crypto-store',
    kms_credentials: {},
  });
  token = String((await send('POST', '/login', account))['access_token']);
  const credentials = { address: front.url, token: bao.rootToken };
  await send('PUT', '/v1/providers/main', { kind: 'openbao', credentials });
  for (let n = 0; n < SECRETS; n += 1) {
    const body = { value: { text: VALUE }, provider: 'main', cache_seconds: 3_600 };
    await send('POST', `/v1/secrets/${nameOf(n)}`, body);
  }
  const pids = stack.pids();
  return {
    stack,
    home: home.dir,
    bao,
    front,
    tls,
    send,
    target: (call: Target['call']): Target => ({
      url,
      tls,
      call: (n) => ({ ...call(n), headers: { authorization: `Bearer ${token}` } }),
    }),
    /** What was read lies in the cache no more. */
    coolDown: () => stack.flush('cache'),
    reads: () =>
      Object.entries(front.calls())
        .filter(([label]) => label.startsWith('GET /v1/secret/data/'))
        .reduce((sum, [, count]) => sum + count, 0),
    pids: [pids['key-proxy'], pids.postgres, pids['redis-cache'], pids['redis-bus'], pids['audit-sink']],
    async close() {
      await agent.close();
      await stack.close();
      await front.close();
      await bao.close();
      rmSync(home.dir, { recursive: true, force: true });
    },
  };
}
