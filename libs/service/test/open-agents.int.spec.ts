import { mkdtempSync, rmSync } from 'node:fs';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { getCACertificates, setDefaultCACertificates, type TLSSocket } from 'node:tls';
import { afterAll, beforeAll, expect, test } from '@jest/globals';
import { closeInReverse } from '@postern/runtime';
import { developmentCa, fixedTls, type Authority } from '@postern/testing';
import { request } from 'undici';
import { openAgents, type Agents } from '../src/open-agents.ts';

/** Stands for a public authority: one that Node knows from the start, and that has nothing to do with the services. */
const folder = mkdtempSync(join(tmpdir(), 'postern-public-ca-'));
const known = getCACertificates('default');
const closing = closeInReverse();
const servers: Server[] = [];
let agents: Agents;
let own: string;
let outside: string;
let marked: string;

/** A server that says which certificate its caller showed; its keys lie on every path. */
async function serverOf(authority: Authority): Promise<string> {
  const { cert, key } = await authority.issue('key-proxy');
  const options = { cert, key, requestCert: true, rejectUnauthorized: false };
  const server = createServer(options, (request, response) => {
    const { CN } = (request.socket as TLSSocket).getPeerCertificate().subject;
    response.setHeader('content-type', 'application/json').end(JSON.stringify({ keys: [], caller: CN }));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `https://localhost:${(server.address() as AddressInfo).port}`;
}

beforeAll(async () => {
  const elsewhere = developmentCa(folder);
  own = await serverOf(developmentCa());
  [outside, marked] = [await serverOf(elsewhere), await serverOf(elsewhere)];
  setDefaultCACertificates([(await elsewhere.issue('key-proxy')).ca]);
  const issuers = [
    { issuer: own, jwksUri: `${own}/keys` },
    { issuer: outside, jwksUri: `${outside}/keys` },
    { issuer: marked, jwksUri: `${marked}/keys`, authority: 'public' },
  ];
  const tls = fixedTls(await developmentCa().issue('token-exchange'));
  agents = openAgents({ config: { trust: { issuers } }, closing } as never, { tls } as never);
});
afterAll(async () => {
  await closing.close();
  for (const server of servers) server.close();
  setDefaultCACertificates(known);
  rmSync(folder, { recursive: true, force: true });
});

const REFUSED = { code: expect.stringMatching(/^(UNABLE_TO_|SELF_SIGNED_|DEPTH_ZERO_)/) };
const callerAt = async (issuer: string, at = agents.agentOf(issuer)) =>
  ((await (await request(issuer, { dispatcher: at })).body.json()) as { caller: string }).caller;

test('a service is known by the authority of services alone', async () => {
  expect(await callerAt(own)).toBe('token-exchange');
  expect(await agents.fetchJwks(`${own}/keys`)).toMatchObject({ keys: [] });
  await expect(callerAt(outside)).rejects.toMatchObject(REFUSED);
  await expect(agents.fetchJwks(`${outside}/keys`)).rejects.toMatchObject(REFUSED);
  // Nor is one that the table does not name, and no other service where one issuer is marked.
  await expect(callerAt(marked, agents.peers)).rejects.toMatchObject(REFUSED);
  await expect(agents.fetchJwks(`${marked}/other-keys`)).rejects.toMatchObject(REFUSED);
});

test('an issuer that is marked so is known by a public authority too, and sees the certificate of the service (RFC 8705)', async () => {
  expect(await callerAt(marked)).toBe('token-exchange');
  expect(await agents.fetchJwks(`${marked}/keys`)).toMatchObject({ keys: [] });
});
