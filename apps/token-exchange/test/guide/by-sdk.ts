import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { fromEnvironment, PosternError, scopesNamedBy, type Scopes, type TraceEntry } from '@postern/client';
import { createTokenVerifier, fetchJwksOver, type IssuerEntry, type TokenVerifier } from '@postern/oidc';
import { profileNamed } from '@postern/profile';
import { developmentCa } from '@postern/testing';
import type { RunningKeycloak } from '@postern/testing/keycloak';
import { decodeJwt } from 'jose';
import LlamaStackClient from 'llama-stack-client';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import { Agent, request } from 'undici';
import { openWorld, type World } from '../token-exchange.ts';
import { policyOfSdk } from './policy-of-sdk.ts';
import { protectedServer } from './protected-server.ts';
import { ADMIN_SCOPE, AUDIENCE, REALM, SECRET } from './realm-of-sdk.ts';

/** Every flow of the guide with the SDK, straight to Keycloak and through Postern, and with the clients that agents use. */
export const guideBySdk = (running: () => RunningKeycloak) => () => {
  let keycloak: RunningKeycloak;
  let world: World;
  let agent: Agent;
  let ca: string;
  let portal: { cert: string; key: string; ca: string };
  let realmEntry: IssuerEntry;

  beforeAll(async () => {
    keycloak = running();
    ca = await developmentCa().certificate();
    agent = new Agent({ connect: { ca } });
    const issuer = keycloak.issuer(REALM);
    realmEntry = {
      issuer,
      jwksUri: `${issuer}/protocol/openid-connect/certs`,
      kinds: ['provider-access'],
      algorithms: ['RS256'],
      scopeCeiling: 'policy',
      tenant: { fixed: 'acme' },
    };
    // The guide's bearer tokens are for the low profile.
    world = await openWorld({ realmEntry, document: policyOfSdk(), env: { POSTERN_PROFILE: 'fedramp-low' } });
    portal = (await developmentCa().issue('portal')).paths;
  }, 120_000);
  afterAll(async () => {
    await agent.close();
    await world.close();
  });

  async function loggedIn(username: string, client = 'portal-login'): Promise<string> {
    const answer = await request(`${keycloak.issuer(REALM)}/protocol/openid-connect/token`, {
      dispatcher: agent,
      method: 'POST',
      headers: { 'content-type': 'application/x-www-form-urlencoded' },
      body: new URLSearchParams({
        grant_type: 'password',
        client_id: client,
        username,
        password: `${username}-password`,
      }).toString(),
    });
    const { access_token: token, ...said } = (await answer.body.json()) as { access_token?: string };
    if (token === undefined) throw new Error(JSON.stringify(said));
    return token;
  }

  const keycloakEnv = (more: Record<string, string | undefined> = {}) => ({
    KEYCLOAK_SERVER_URL: keycloak.url,
    KEYCLOAK_REALM: REALM,
    KEYCLOAK_CLIENT_ID: REALM,
    KEYCLOAK_CLIENT_SECRET: SECRET,
    KEYCLOAK_AUDIENCE: AUDIENCE,
    ...more,
  });
  const posternEnv = (more: Record<string, string | undefined> = {}) => ({
    POSTERN_TOKEN_EXCHANGE_URL: world.urls.api,
    POSTERN_TLS_CERT_PATH: portal.cert,
    POSTERN_TLS_KEY_PATH: portal.key,
    POSTERN_TLS_CA_PATH: portal.ca,
    POSTERN_AUDIENCE: AUDIENCE,
    ...more,
  });
  const failure = async (work: Promise<unknown>): Promise<PosternError> => {
    const error = await work.then(
      () => new Error('not refused'),
      (thrown: unknown) => thrown,
    );
    if (error instanceof PosternError) return error;
    throw error;
  };

  const modes = [
    ['straight to Keycloak', keycloakEnv, 'provider-access'],
    ['through Postern', posternEnv, 'postern-access'],
  ] as const;

  describe.each(modes)('%s', (mode, env, kind) => {
    let server: Server;
    let origin: string;
    let verifier: TokenVerifier;
    let scopes: Scopes;
    let own: string;
    let ran: string[];
    const opened: Scopes[] = [];

    const open = (token: string, more = {}, options = {}): Scopes => {
      const scopes = fromEnvironment({ env: env(more), envFile: 'none', token, ca, ...options });
      opened.push(scopes);
      return scopes;
    };

    beforeAll(async () => {
      const issuer: IssuerEntry =
        kind === 'provider-access'
          ? realmEntry
          : {
              ...realmEntry,
              issuer: world.issuer,
              jwksUri: `${world.issuer}/.well-known/jwks.json`,
              kinds: ['postern-access'],
              algorithms: ['ES256'],
              tenant: { claim: 'tenant' },
            };
      verifier = createTokenVerifier({
        issuers: [issuer],
        audience: AUDIENCE,
        kinds: [kind],
        profile: profileNamed('fedramp-low'),
        fetchJwks: fetchJwksOver(agent),
      });
      const leaf = await developmentCa().issue('llama');
      const app = protectedServer(verifier, (tool) => void ran.push(tool));
      // A token that is bound to a certificate is shown with it.
      server = createServer({ cert: leaf.cert, key: leaf.key, ca, requestCert: true, rejectUnauthorized: false }, app);
      server.listen(0, '127.0.0.1');
      await new Promise((ready) => server.once('listening', ready));
      origin = `https://127.0.0.1:${(server.address() as AddressInfo).port}`;
    });
    afterAll(async () => {
      await Promise.all(opened.map((one) => one.close()));
      verifier.close();
      server.closeAllConnections();
      await new Promise((closed) => server.close(closed));
    });
    beforeEach(async () => {
      ran = [];
      own = await loggedIn('alice');
      scopes = open(own);
    });

    test('its end-to-end test: a token with no scope becomes one with the scope, and stays what it was', async () => {
      expect(decodeJwt(own)['scope'] ?? '').not.toContain('llama');
      const token = await scopes.ensureScope('llama:agent_create');
      expect(String(decodeJwt(token)['scope']).split(' ')).toContain('llama:agent_create');
      expect([decodeJwt(token)['aud']].flat()).toContain(AUDIENCE);
      expect(token).not.toBe(own);
      expect(await scopes.ensureScope('llama:agent_create')).toBe(token);
      if (mode === 'through Postern')
        expect(decodeJwt(token)).toMatchObject({ act: { sub: 'portal' }, tenant: 'acme' });
    });

    test('its agent creation: tried, refused, stepped up, tried again, by the real Llama Stack client', async () => {
      const fetch = scopes.fetchFor(origin) as never;
      const llama = new LlamaStackClient({ baseURL: origin, apiKey: own, maxRetries: 0, fetch });
      const agentConfig = { body: { agent_config: { instructions: 'Help', model: 'small' } } };
      expect(await llama.post('/v1/agents', agentConfig)).toMatchObject({ agent_id: 'agent-1' });
    });

    test('its tool use: the tool names the scope, and runs once with it, by the real MCP client', async () => {
      const url = new URL('/mcp', origin);
      const client = new Client({ name: 'guide', version: '1.0.0' });
      await client.connect(new StreamableHTTPClientTransport(url, { fetch: scopes.fetchFor(url) }) as never);
      for (const name of ['list_files', 'health_check']) {
        expect(await client.callTool({ name, arguments: {} })).toMatchObject({ content: [{ text: `${name} done` }] });
      }
      // Her role does not reach: the tool's own refusal is the answer, and nothing ran.
      const refused = await client.callTool({ name: 'execute_command', arguments: {} });
      expect(scopesNamedBy(refused)).toEqual([ADMIN_SCOPE]);
      expect(ran).toEqual(['list_files', 'health_check']);
      await client.close();
    });

    test('"400": a scope that is not defined', async () => {
      const error = await failure(scopes.ensureScope('llama:undefined'));
      expect(error).toMatchObject({ code: 'scope_denied', status: 400 });
      expect(error.message).toContain('Token exchange failed: 400');
    });

    test('"403": a scope that needs a role, for who lacks it and for who has it', async () => {
      expect((await failure(scopes.ensureScope(ADMIN_SCOPE))).code).toBe('scope_denied');
      const token = await open(await loggedIn('ada')).ensureScope(ADMIN_SCOPE);
      expect(String(decodeJwt(token)['scope']).split(' ')).toContain(ADMIN_SCOPE);
    });

    test('a token that is not accepted as subject: garbage, forged, or meant for others', async () => {
      const [head = '', , signature = ''] = own.split('.');
      const claims = { ...decodeJwt(own), scope: ADMIN_SCOPE };
      const forged = [head, Buffer.from(JSON.stringify(claims)).toString('base64url'), signature].join('.');
      for (const token of ['garbage', forged, await loggedIn('alice', 'elsewhere-login')]) {
        const error = await failure(open(token).ensureScope('mcp:list_files'));
        expect(error.code).toBe('subject_refused');
        expect(JSON.stringify({ ...error, message: error.message })).not.toContain(token);
      }
    });

    test('debug mode: requests and answers, with no secret, token or assertion in them', async () => {
      const traced: TraceEntry[] = [];
      const token = await open(own, {}, { trace: (entry: TraceEntry) => traced.push(entry) }).ensureScope(
        'mcp:get_server_info',
      );
      expect(traced).toMatchObject([
        { method: 'POST', status: 200, sent: { scope: 'mcp:get_server_info', audience: AUDIENCE } },
      ]);
      for (const secret of [SECRET, own, token]) expect(JSON.stringify(traced)).not.toContain(secret);
    });

    test('an audience that is not there', async () => {
      expect((await failure(scopes.ensureScope('mcp:list_files', { audience: 'nowhere' }))).code).toBe(
        'audience_denied',
      );
    });
  });

  test('"Missing required environment variables": all of them, in one error', () => {
    const env = keycloakEnv({ KEYCLOAK_REALM: undefined, KEYCLOAK_CLIENT_SECRET: undefined });
    expect(() => fromEnvironment({ env, envFile: 'none', token: 't' })).toThrow(
      'Missing required environment variables: KEYCLOAK_REALM, KEYCLOAK_CLIENT_SECRET',
    );
  });

  test.each([
    ['"401": a wrong secret', { KEYCLOAK_CLIENT_SECRET: 'wrong' }, 401],
    ['"401": a client that nobody knows', { KEYCLOAK_CLIENT_ID: 'nobody' }, 401],
    ['"400": a client without token exchange', { KEYCLOAK_CLIENT_ID: 'without-exchange' }, 400],
  ])('%s', async (_, more, status) => {
    const scopes = fromEnvironment({ env: keycloakEnv(more), envFile: 'none', token: await loggedIn('alice'), ca });
    const error = await failure(scopes.ensureScope('mcp:list_files'));
    expect(error).toMatchObject({ code: 'client_refused', status });
    expect(error.message).toContain(`Token exchange failed: ${status}`);
    await scopes.close();
  });

  test('through Postern: a workload whom policy gives nothing, and one without a certificate of ours', async () => {
    const job = (await developmentCa().issue('job')).paths;
    const as = async (paths: { cert: string; key: string }) => {
      const env = posternEnv({ POSTERN_TLS_CERT_PATH: paths.cert, POSTERN_TLS_KEY_PATH: paths.key });
      const scopes = fromEnvironment({ env, envFile: 'none', token: await loggedIn('alice') });
      const { code } = await failure(scopes.ensureScope('mcp:list_files'));
      await scopes.close();
      return code;
    };
    // Its token names nobody but portal's login as the one who may bring it (R8).
    expect(await as(job)).toBe('subject_refused');
    const { issueSelfSigned } = await import('@postern/testing');
    const stranger = await issueSelfSigned('portal', { into: `${portal.cert}.stranger` });
    expect(await as(stranger.paths)).toBe('unreachable');
  });
};
