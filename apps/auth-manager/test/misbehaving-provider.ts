import type { IncomingMessage, ServerResponse } from 'node:http';
import { createServer } from 'node:https';
import type { AddressInfo } from 'node:net';
import { text } from 'node:stream/consumers';
import { openEgress } from '@postern/egress';
import { profileNamed } from '@postern/profile';
import { type Logger, silentLogger } from '@postern/runtime';
import { developmentCa } from '@postern/testing';
import { decodeJwt, exportJWK, generateKeyPair, SignJWT } from 'jose';
import { openProviders } from '../src/provider/open-providers.ts';
import type { FreshGrants } from './fresh-grants.ts';

export type Endpoint = 'discovery' | 'keys' | 'token' | 'introspect' | 'revoke';
export type Behaviour = (response: ServerResponse) => unknown;

export const json =
  (status: number, body: unknown, headers: Record<string, string> = {}): Behaviour =>
  (response) =>
    response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
export const page =
  (status: number, headers: Record<string, string> = {}): Behaviour =>
  (response) =>
    response.writeHead(status, { 'content-type': 'text/html; charset=utf-8', ...headers }).end('<h1>Maintenance</h1>');
export const hangs: Behaviour = () => {};
export const cuts: Behaviour = (response) => response.socket?.destroy();
/** The whole of it would be JSON. */
export const huge: Behaviour = (response) =>
  response.writeHead(200, { 'content-type': 'application/json' }).end(`{"filler":"${'x'.repeat(2 * 1024 * 1024)}"}`);
/** A byte now and then, for ever. */
export const drips: Behaviour = (response) => {
  response.writeHead(200, { 'content-type': 'application/json' });
  const dripping = setInterval(() => response.write(' '), 300);
  response.on('close', () => clearInterval(dripping));
};

const good: Record<Exclude<Endpoint, 'discovery' | 'keys'>, Behaviour> = {
  token: json(200, { access_token: 'a', token_type: 'Bearer', expires_in: 60 }),
  introspect: json(200, { active: true }),
  revoke: (response) => response.writeHead(200).end(),
};

/** Keycloak's, of assertions and proofs. */
const TOLERATED_SECONDS = 15;

export type MisbehavingProvider = Awaited<ReturnType<typeof startMisbehavingProvider>>;

/** A provider over real TLS whose every endpoint misbehaves on demand, with a clock and signing keys of its own. */
export async function startMisbehavingProvider() {
  const { cert, key, ca } = await developmentCa().issue('identity-provider');
  let faults: { [At in Endpoint]?: Behaviour | undefined } = {};
  let calls = { discovery: 0, keys: 0, token: 0, introspect: 0, revoke: 0 };
  let named: string;
  let clockSeconds = 0;
  let signing = await newKey();
  const now = () => Math.floor(Date.now() / 1000) + clockSeconds;

  /** What its clock says of what we signed. */
  function refusalOf(form: URLSearchParams, proof: unknown): Behaviour | undefined {
    const assertion = form.get('client_assertion');
    if (assertion !== null) {
      const { iat = 0, nbf = iat, exp = 0 } = decodeJwt(assertion);
      const early = Math.max(iat, nbf) > now() + TOLERATED_SECONDS;
      if (early || exp < now() - TOLERATED_SECONDS) return json(401, { error: 'invalid_client' });
    }
    if (typeof proof !== 'string') return undefined;
    const { iat = 0 } = decodeJwt(proof);
    return Math.abs(iat - now()) > TOLERATED_SECONDS ? json(400, { error: 'invalid_dpop_proof' }) : undefined;
  }

  async function serve(request: IncomingMessage, response: ServerResponse): Promise<void> {
    const form = new URLSearchParams(await text(request));
    const path = (request.url ?? '').slice(1);
    const endpoint = path in calls ? (path as Endpoint) : 'discovery';
    calls[endpoint] += 1;
    response.setHeader('date', new Date(now() * 1000).toUTCString());
    const refusal = refusalOf(form, request.headers['dpop']);
    if (refusal) return void refusal(response);
    const fault = faults[endpoint];
    if (fault) return void fault(response);
    switch (endpoint) {
      case 'keys':
        return void json(200, { keys: [signing.jwk] })(response);
      case 'discovery':
        return void json(200, {
          issuer: named,
          authorization_endpoint: `${issuer}/auth`,
          token_endpoint: `${issuer}/token`,
          introspection_endpoint: `${issuer}/introspect`,
          revocation_endpoint: `${issuer}/revoke`,
          pushed_authorization_request_endpoint: `${issuer}/par`,
          jwks_uri: `${issuer}/keys`,
          id_token_signing_alg_values_supported: ['ES256'],
        })(response);
      default:
        return void good[endpoint](response);
    }
  }

  const server = createServer({ cert, key }, (request, response) => void serve(request, response));
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const issuer = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
  named = issuer;
  const egress = openEgress({
    allow: [new URL(issuer).host],
    publicAddresses: false,
    listedAuthorities: () => ca,
    timeoutMs: 3_000,
  });

  return {
    issuer,
    /** The guarded way there. */
    egress,
    calls: () => ({ ...calls }),
    /** From here on; `undefined`: it answers well. */
    meets: (endpoint: Endpoint, fault: Behaviour | undefined) => void (faults[endpoint] = fault),
    callsItself: (name: string) => void (named = name),
    /** Its clock is so far ahead of ours. */
    clockAhead: (seconds: number) => void (clockSeconds = seconds),
    async rotateKeys() {
      signing = await newKey();
    },
    well() {
      [faults, named, clockSeconds] = [{}, issuer, 0];
      calls = { discovery: 0, keys: 0, token: 0, introspect: 0, revoke: 0 };
    },
    /** Signed by its key of now, dated by its clock. */
    sign: (claims: Record<string, unknown>, header: { typ?: string } = {}) =>
      new SignJWT({ iss: issuer, aud: 'auth-manager', iat: now(), exp: now() + 120, ...claims })
        .setProtectedHeader({ alg: 'ES256', kid: signing.jwk.kid, ...header })
        .sign(signing.privateKey),
    async close() {
      await egress.close();
      server.closeAllConnections();
      await new Promise((resolve) => server.close(resolve));
    },
  };
}

/** The calls there of a process that has not spoken with it yet, in moderate. */
export function providersAt(
  { egress, issuer }: MisbehavingProvider,
  { db, vault, now }: FreshGrants,
  logger: Logger = silentLogger(),
) {
  const config = { issuer, clientId: 'auth-manager', clientKeyPath: undefined, scopes: [] };
  const profile = profileNamed('fedramp-moderate');
  return openProviders({ config, db, vault, now, egress, tenantEgress: egress, logger, profile });
}

async function newKey() {
  const { privateKey, publicKey } = await generateKeyPair('ES256', { extractable: true });
  return { privateKey, jwk: { ...(await exportJWK(publicKey)), kid: crypto.randomUUID(), alg: 'ES256', use: 'sig' } };
}
