import { logInAs } from '@postern/cli';
import { openCast, openHome, quietly, startStack } from '@postern/dev';
import { developmentCa } from '@postern/testing';
import { startKeycloak } from '@postern/testing/keycloak';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Agent, request } from 'undici';

import { costOf } from '../crypto-store-world.ts';
import { load, type Target } from '../load.ts';
import { type Case } from '../measure.ts';

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';
const PASSWORD = 'development-only-2026!';
/** So long that the server's second compiler has seen the path of an exchange often. */
const PEER_WARM_UP_MS = 20_000;

const formOf = (subjectToken: string) =>
  new URLSearchParams({
    grant_type: TOKEN_EXCHANGE,
    subject_token: subjectToken,
    subject_token_type: ACCESS_TOKEN,
    audience: 'crypto-store',
    scope: 'records:read',
    client_id: 'portal',
  }).toString();

/** The exchange of that subject, the same form to either side. */
const targetOf = (url: string, path: string, tls: Target['tls'], subjectToken: string): Target => {
  const headers = { 'content-type': 'application/x-www-form-urlencoded' };
  return { url, tls, call: () => ({ method: 'POST', path, headers, body: formOf(subjectToken) }) };
};

/** The stack, strict audit on, with alice's login at the portal as the subject of every exchange. */
async function openOurs() {
  const home = openHome(mkdtempSync(join(tmpdir(), 'postern-bench-')));
  // One subject is asked for over and over: its rate is out of the way.
  const settings = () => Promise.resolve({ 'token-exchange': { POSTERN_EXCHANGES_PER_MINUTE: '1000000' } });
  const stack = await startStack({ home, step: quietly, idp: 'development', settings });
  const { state, certificates } = stack;
  const cast = openCast(state, certificates);
  const { cert, key, ca } = certificates.of.portal;
  const realm = { issuer: state.issuer, clientId: 'portal', postern: cast.portal, ca };
  const login = () => logInAs({ username: 'alice', password: state.users['alice'] ?? '' }, realm);
  const pids = stack.pids();
  return {
    tls: { cert, key, ca },
    login,
    url: state.urls['token-exchange'].api,
    pids: [pids['token-exchange'], pids.postgres, pids['redis-bus'], pids['audit-sink']],
    async close() {
      await cast.close();
      await stack.close();
      rmSync(home.dir, { recursive: true, force: true });
    },
  };
}

const mapper = (name: string, protocolMapper: string, config: Record<string, string>) => ({
  name,
  protocol: 'openid-connect',
  protocolMapper,
  config: { 'access.token.claim': 'true', ...config },
});

/** The same person, client, audience and scope; the client proves itself by its certificate, as at our side. */
const realm = {
  realm: 'bench',
  enabled: true,
  accessTokenLifespan: 3_600,
  clientScopes: [
    {
      name: 'records:read',
      protocol: 'openid-connect',
      attributes: { 'include.in.token.scope': 'true' },
      protocolMappers: [
        mapper('aud', 'oidc-audience-mapper', { 'included.client.audience': 'crypto-store' }),
        mapper('sub', 'oidc-sub-mapper', {}),
      ],
    },
  ],
  clients: [
    {
      clientId: 'portal',
      enabled: true,
      publicClient: false,
      clientAuthenticatorType: 'client-x509',
      directAccessGrantsEnabled: true,
      attributes: {
        'standard.token.exchange.enabled': 'true',
        'x509.subjectdn': 'CN=portal',
        'x509.allow.regex.pattern.comparison': 'false',
      },
      optionalClientScopes: ['records:read'],
      protocolMappers: [mapper('sub', 'oidc-sub-mapper', {})],
    },
    { clientId: 'crypto-store', enabled: true, bearerOnly: true },
  ],
  users: [
    {
      username: 'alice',
      firstName: 'Alice',
      lastName: 'Example',
      email: 'alice@acme.example',
      emailVerified: true,
      enabled: true,
      credentials: [{ type: 'password', value: PASSWORD, temporary: false }],
    },
  ],
};

async function openPeer() {
  const authority = developmentCa();
  const [server, { cert, key, ca }] = await Promise.all([
    authority.issue('identity-provider'),
    authority.issue('portal'),
  ]);
  const keycloak = await startKeycloak({ tls: server, realms: [realm], compiler: 'default' });
  const tls = { cert, key, ca };
  const path = '/realms/bench/protocol/openid-connect/token';
  const agent = new Agent({ connect: tls });
  const answer = await request(`${keycloak.url}${path}`, {
    dispatcher: agent,
    method: 'POST',
    headers: { 'content-type': 'application/x-www-form-urlencoded' },
    body: new URLSearchParams({
      grant_type: 'password',
      client_id: 'portal',
      username: 'alice',
      password: PASSWORD,
    }).toString(),
  });
  const { access_token: subject = '' } = (await answer.body.json()) as { access_token?: string };
  await agent.close();
  const target = targetOf(keycloak.url, path, tls, subject);
  await load(target, { ms: PEER_WARM_UP_MS });
  return { target, pids: [keycloak.pid], close: keycloak.close };
}

/** A minting exchange, recorded before its token leaves, beside Keycloak's standard exchange. */
export const mint: Case = {
  name: 'token-exchange/mint',
  unit: 'exchanges per CPU second of every process',
  against: "Keycloak 26's standard exchange: default JIT, warmed, on its embedded database",
  goal: { atLeast: 3 },
  async prepare() {
    const [ours, peer] = [await openOurs(), await openPeer()];
    return {
      // A login lives for minutes: each measurement begins with a new one.
      ours: async () =>
        (await costOf(targetOf(ours.url, '/token', ours.tls, await ours.login()), ours.pids)).perCpuSecond,
      peer: async () => (await costOf(peer.target, peer.pids)).perCpuSecond,
      async close() {
        await peer.close();
        await ours.close();
      },
    };
  },
};
