import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { createPostern, fromPostern, type Postern, type Scopes } from '@postern/client';
import { createTokenVerifier, fetchJwksOver } from '@postern/oidc';
import { profileNamed } from '@postern/profile';
import { developmentCa } from '@postern/testing';
import { calculateJwkThumbprint, decodeJwt, exportJWK, generateKeyPair, type CryptoKey } from 'jose';
import type { IncomingMessage } from 'node:http';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Agent } from 'undici';
import { openWorld, policy, type World } from './token-exchange.ts';

let world: World;
let agent: Agent;
let client: { privateKey: CryptoKey; publicKey: CryptoKey };
let ca: string;
const opened: (Scopes | Postern)[] = [];

beforeAll(async () => {
  client = await generateKeyPair('ES256', { extractable: true });
  const jwk = { ...(await exportJWK(client.publicKey)), kid: 'client', alg: 'ES256', use: 'sig' };
  world = await openWorld({
    clientKeys: { portal: [jwk] },
    document: (realmIssuer) => ({
      ...policy,
      scopes: policy.scopes.map((scope) =>
        scope.name === 'secrets:read' ? { ...scope, decision: 'admin_required' as const } : scope,
      ),
      approvals: { issuer: realmIssuer, role: 'admin', expireSeconds: 3_600 },
    }),
  });
  ca = await developmentCa().certificate();
  agent = new Agent({ connect: { ca } });
});
afterAll(async () => {
  await Promise.all(opened.map((one) => one.close()));
  await agent.close();
  await world.close();
});

test('a client without a certificate: private_key_jwt, a token bound to its DPoP key, and a proof with each request', async () => {
  const dpopKey = await generateKeyPair('ES256', { extractable: true });
  const jkt = await calculateJwkThumbprint(await exportJWK(dpopKey.publicKey));
  const token = await world.realm.mint({
    audience: 'token-exchange',
    clientId: 'portal',
    roles: ['user'],
    boundToKey: jkt,
  });
  const clientKey = JSON.stringify({ ...(await exportJWK(client.privateKey)), kid: 'client' });
  const scopes = fromPostern({
    tokenExchangeUrl: world.urls.public!,
    clientId: 'portal',
    clientKey,
    dpopKey,
    ca,
    token,
  });
  opened.push(scopes);
  const minted = await scopes.ensureScope('grants:read', { audience: 'auth-manager' });
  expect(decodeJwt(minted)).toMatchObject({ aud: 'auth-manager', scope: 'grants:read', cnf: { jkt } });

  // A resource server that checks what R8 and RFC 9449 ask for.
  const used = new Set<string>();
  const verifier = createTokenVerifier({
    issuers: [
      {
        issuer: world.issuer,
        jwksUri: `${world.issuer}/.well-known/jwks.json`,
        kinds: ['postern-access'],
        algorithms: ['ES256'],
        scopeCeiling: 'policy',
        tenant: { claim: 'tenant' },
      },
    ],
    audience: 'auth-manager',
    kinds: ['postern-access'],
    profile: profileNamed('fedramp-moderate'),
    fetchJwks: fetchJwksOver(agent),
    useOnce: async (_kind, value) => !used.has(value) && used.add(value) !== undefined,
  });
  const { server, origin } = await serve(async ({ headers, method = '', url = '' }) => {
    const dpop = { proof: String(headers['dpop']), method, url: `${origin}${url.split('?')[0]}` };
    const { scopes: has } = await verifier.verify(String(headers.authorization).replace(/^DPoP /, ''), { dpop });
    return [...has].join(' ');
  });
  const fetching = scopes.fetchFor(origin, { audience: 'auth-manager', scopes: ['grants:read'] });
  for (const path of ['/a?x=1', '/b']) expect(await (await fetching(`${origin}${path}`)).text()).toBe('grants:read');
  expect(used.size).toBe(2);
  verifier.close();
  await closed(server);
});

test('R19: a scope that a person approves is waited for, and the person decides by the typed client', async () => {
  const { paths, thumbprint, ...job } = await developmentCa().issue('job');
  const portal = await developmentCa().issue('portal');
  expect(paths.cert).not.toBe(portal.paths.cert);
  const grant = await world.grants.mint({
    kind: 'grant',
    audience: 'token-exchange',
    clientId: 'job',
    actors: ['job'],
    scopes: ['secrets:read'],
    boundTo: thumbprint,
    grantId: crypto.randomUUID(),
  });
  const scopes = fromPostern({ tokenExchangeUrl: world.urls.api!, tls: () => job, token: grant });
  const approver = createPostern({ tls: () => portal, urls: { tokenExchange: world.urls.api! } });
  opened.push(scopes, approver);
  const loggedIn = async (sub: string, role: string) => ({
    subjectToken: await world.realm.mint({
      audience: 'token-exchange',
      sub,
      clientId: 'portal',
      roles: [role],
      boundTo: portal.thumbprint,
    }),
  });
  const as = await loggedIn('carol', 'admin');
  const seen: string[] = [];
  const token = await scopes.ensureScope('secrets:read', {
    audience: 'key-proxy',
    justification: 'nightly report',
    async onApprovalPending({ approvalId = '', scopes: wanted }) {
      const approval = await approver.approvals.get(approvalId, as);
      seen.push(`${approval.workload} ${approval.justification} ${wanted.join()}`);
      expect((await approver.approvals.list({ workload: 'job' }, as)).approvals.map(({ id }) => id)).toContain(
        approvalId,
      );
      const decided = await approver.approvals.decide(approvalId, { decision: 'approved' }, as);
      expect(decided).toMatchObject({ state: 'approved', missing: 0 });
    },
  });
  expect(seen).toEqual(['job nightly report secrets:read']);
  expect(decodeJwt(token)).toMatchObject({ aud: 'key-proxy', scope: 'secrets:read', act: { sub: 'job' } });
  const jti = String(decodeJwt(token).jti);
  const lineage = await approver.exchanges.lineage(jti, await loggedIn('audrey', 'auditor'));
  expect(lineage.exchange).toMatchObject({ workload: 'job', scopes: ['secrets:read'] });
}, 30_000);

async function serve(
  answer: (request: IncomingMessage) => Promise<string>,
): Promise<{ server: Server; origin: string }> {
  const { cert, key } = await developmentCa().issue('auth-manager');
  const server = createServer({ cert, key }, (request, response) => {
    answer(request).then(
      (text) => response.end(text),
      () => response.writeHead(401).end(),
    );
  });
  server.listen(0, '127.0.0.1');
  await new Promise((ready) => server.once('listening', ready));
  return { server, origin: `https://127.0.0.1:${(server.address() as AddressInfo).port}` };
}

const closed = (server: Server) =>
  new Promise<void>((done) => {
    server.close(() => done());
    server.closeAllConnections();
  });
