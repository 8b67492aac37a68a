import { once } from 'node:events';
import { createServer, type Server } from 'node:https';
import { type AddressInfo } from 'node:net';

import { developmentCa } from '../../authority/development-ca.ts';
import { type ProfileName } from '@postern/profile';
import { openHeadlessBrowser, type HeadlessBrowser } from '../headless-browser.ts';
import { type Realm } from '../realm.ts';
import { type RunningIdentityProvider } from '../start.ts';
import { openRelyingParty, type RelyingParty } from './relying-party.ts';
import { contractRealm, createKeys, secretOf, type ContractKeys } from './world.ts';

/** A provider under test: both realms of the contract, running. */
export type ProviderUnderTest = {
  realm(name: string): Omit<RunningIdentityProvider, 'close'>;
  close(): Promise<void>;
};

export type StartProvider = (options: {
  tls: { cert: string; key: string; ca: string };
  realms: { realm: Realm; profile: ProfileName }[];
}) => Promise<ProviderUnderTest>;

/** What every case of the contract works with. */
export type Subject = {
  issuer: string;
  rotatingIssuer: string;
  provider: Omit<RunningIdentityProvider, 'close'>;
  ca: string;
  keys: ContractKeys;
  /** A client of the realm, with its own way of proving itself; `as` presents another workload's certificate. */
  party(
    clientId: string,
    options?: { issuer?: string; as?: string | 'nobody'; freshCertificate?: boolean; secret?: string },
  ): Promise<RelyingParty>;
  browser(): HeadlessBrowser;
  /** Logout tokens that have arrived, oldest first. */
  logoutTokens: string[];
  close(): Promise<void>;
};

const certificateClients = ['portal', 'job'];

async function listenForLogouts(tls: {
  cert: string;
  key: string;
}): Promise<{ server: Server; url: string; tokens: string[] }> {
  const tokens: string[] = [];
  const server = createServer({ cert: tls.cert, key: tls.key }, (request, response) => {
    let body = '';
    request.on('data', (chunk: Buffer) => (body += chunk.toString()));
    request.on('end', () => {
      tokens.push(new URLSearchParams(body).get('logout_token') ?? '');
      response.writeHead(200).end();
    });
  }).listen(0, '127.0.0.1');
  await once(server, 'listening');
  return { server, url: `https://127.0.0.1:${(server.address() as AddressInfo).port}/backchannel-logout`, tokens };
}

/** Starts a provider with the contract's two realms: one as moderate has it, one with strict rotation. */
export async function startSubject(start: StartProvider): Promise<Subject> {
  const authority = developmentCa();
  const tls = await authority.issue('identity-provider');
  const logouts = await listenForLogouts(await authority.issue('auth-manager'));
  const { keys, jwks } = createKeys();
  const realm = (name: string, rotation: Realm['rotation']) =>
    contractRealm({ name, rotation, jwks, logoutUrl: logouts.url });
  const provider = await start({
    tls,
    realms: [
      { realm: realm('postern', 'off'), profile: 'fedramp-moderate' },
      { realm: realm('rotating', { maxReuse: 0 }), profile: 'fedramp-low' },
    ],
  });

  const opened: { close(): Promise<void> }[] = [];
  const certificates = new Map<string, Promise<{ cert: string; key: string }>>();
  const certificateOf = (workload: string, fresh: boolean) => {
    if (fresh) return authority.issue(workload);
    const known = certificates.get(workload) ?? authority.issue(workload);
    certificates.set(workload, known);
    return known;
  };
  const { issuer } = provider.realm('postern');
  return {
    issuer,
    rotatingIssuer: provider.realm('rotating').issuer,
    provider: provider.realm('postern'),
    ca: tls.ca,
    keys,
    logoutTokens: logouts.tokens,
    browser: () => {
      const browser = openHeadlessBrowser({ ca: tls.ca });
      opened.push(browser);
      return browser;
    },
    party: async (
      clientId,
      { issuer: at = issuer, as, freshCertificate = false, secret = secretOf(clientId) } = {},
    ) => {
      const workload = as ?? (certificateClients.includes(clientId) ? clientId : 'nobody');
      const leaf = workload === 'nobody' ? undefined : await certificateOf(workload, freshCertificate);
      const open = ['browser', 'browser-dpop', 'auth-manager', ...certificateClients].includes(clientId);
      const party = openRelyingParty({
        issuer: at,
        ca: tls.ca,
        clientId,
        ...(leaf ? { certificate: { cert: leaf.cert, key: leaf.key } } : {}),
        ...(open ? {} : { secret }),
        ...(clientId === 'auth-manager' ? { key: { private: keys.authManager, kid: keys.authManagerKid } } : {}),
      });
      opened.push(party);
      return party;
    },
    close: async () => {
      await Promise.all(opened.map((one) => one.close()));
      await provider.close();
      logouts.server.closeAllConnections();
      await new Promise((resolve) => logouts.server.close(resolve));
    },
  };
}
