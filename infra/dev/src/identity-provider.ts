import { developmentPassword, developmentRealm, type Realm } from '@postern/testing/identity-provider';
import { startLeashed } from '@postern/testing';
import { join } from 'node:path';
import { setTimeout as delay } from 'node:timers/promises';
import { Agent, request } from 'undici';

import { type Certificates } from './certificates.ts';
import { keyFile, writeJson } from './files.ts';
import { root, type Home, type Urls } from './state.ts';
import { type RealmEndpoints } from './trust.ts';

const READY_WITHIN_MS = 120_000;

export type IdentityProvider = RealmEndpoints & { logFile: string; close(): Promise<void> };

/** Where the portal takes its codes. Nothing listens there: the code is read on the way. */
export const PORTAL_REDIRECT = 'https://127.0.0.1/callback';

/** The realm of the development world, with this stack's addresses in it. */
export async function realmFor(
  home: Home,
  at: { authManager: Urls; tokenExchange: Urls },
  profile: string,
): Promise<{ realm: Realm; clientKey: string; users: Record<string, string> }> {
  const { path, publicJwk } = await keyFile(home, 'auth-manager-client.jwk');
  const realm = developmentRealm({
    portalRedirectUris: [PORTAL_REDIRECT],
    authManagerRedirectUris: [`${at.authManager.public}/v1/consents/callback`],
    authManagerLogoutUrl: `${at.authManager.public}/v1/backchannel-logout`,
    approvalsPages: {
      redirectUris: [`${at.tokenExchange.public}/approvals/callback`],
      logoutUrl: `${at.tokenExchange.public}/approvals/backchannel-logout`,
    },
    authManagerJwks: { keys: [{ ...publicJwk }] },
    rotation: profile === 'fedramp-low' ? { maxReuse: 1 } : 'off',
  });
  const users = Object.fromEntries(realm.users.map(({ username }) => [username, developmentPassword(username)]));
  return { realm, clientKey: path, users };
}

/** The development provider as a process of its own, on Keycloak's paths. */
export async function startDevelopmentProvider(
  home: Home,
  certificates: Certificates,
  at: { realm: Realm; port: number; profile: string },
): Promise<IdentityProvider> {
  const { paths, ca } = certificates.of['identity-provider'];
  const file = writeJson(home, 'identity-provider.json', {
    port: at.port,
    profile: at.profile,
    dataDir: join(home.dir, 'identity-provider'),
    certPath: paths.cert,
    keyPath: paths.key,
    caPath: paths.ca,
    realm: at.realm,
  });
  const logFile = home.place('logs', 'identity-provider.log');
  const main = join(root, 'libs/testing/src/identity-provider/main.ts');
  const leashed = startLeashed([process.execPath, main, file], { cwd: root, logFile, stopSignal: 'TERM' });
  const issuer = `https://127.0.0.1:${at.port}/realms/${at.realm.name}`;
  await Promise.race([answers(issuer, ca), leashed.ended]).catch(async (error: unknown) => {
    await leashed.stop().catch(() => {});
    throw error;
  });
  return { issuer, jwksUri: `${issuer}/protocol/openid-connect/certs`, logFile, close: leashed.stop };
}

async function answers(issuer: string, ca: string): Promise<void> {
  const agent = new Agent({ connect: { ca } });
  const deadline = performance.now() + READY_WITHIN_MS;
  try {
    for (;;) {
      let problem: unknown;
      try {
        const { statusCode, body } = await request(`${issuer}/.well-known/openid-configuration`, { dispatcher: agent });
        await body.dump();
        if (statusCode === 200) return;
        problem = new Error(`it answers ${statusCode}`);
      } catch (error) {
        problem = error;
      }
      if (performance.now() > deadline) throw problem;
      await delay(40);
    }
  } finally {
    await agent.close();
  }
}
