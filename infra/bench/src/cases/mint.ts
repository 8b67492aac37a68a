import { logInAs } from '@postern/cli';
import { openCast, openHome, quietly, startStack } from '@postern/dev';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { costOf } from '../crypto-store-world.ts';
import { openKeycloakPeer } from '../keycloak-peer.ts';
import { type Target } from '../load.ts';
import { SERVICE_WARM_PAIRS, type Case } from '../measure.ts';

const TOKEN_EXCHANGE = 'urn:ietf:params:oauth:grant-type:token-exchange';
const ACCESS_TOKEN = 'urn:ietf:params:oauth:token-type:access_token';

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

/** A minting exchange, recorded before its token leaves, beside Keycloak's standard exchange. */
export const mint: Case = {
  name: 'token-exchange/mint',
  unit: 'exchanges per CPU second of every process',
  against: "Keycloak 26's standard exchange: default JIT, warmed, on its embedded database",
  goal: { atLeast: 3 },
  warmPairs: SERVICE_WARM_PAIRS,
  async prepare() {
    const [ours, peer] = [
      await openOurs(),
      await openKeycloakPeer('openid', ({ access_token: subject = '' }) => formOf(subject)),
    ];
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
