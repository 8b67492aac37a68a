import { afterAll, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import { fromEnvironment, PosternError, scopesNamedBy, type Scopes, type TraceEntry } from '@postern/client';
import { createTokenVerifier, fetchJwksOver, type IssuerEntry, type TokenVerifier } from '@postern/oidc';
import { policyDocument, type PolicyDocument } from '@postern/policy';
import { profileNamed } from '@postern/profile';
import { describeWith, developmentCa, realPart } from '@postern/testing';
import { keycloakDistribution, startKeycloak, type RunningKeycloak } from '@postern/testing/keycloak';
import express from 'express';
import { decodeJwt } from 'jose';
import LlamaStackClient from 'llama-stack-client';
import { createHash } from 'node:crypto';
import { createServer, type Server } from 'node:https';
import type { AddressInfo } from 'node:net';
import type { TLSSocket } from 'node:tls';
import { Agent, request } from 'undici';
import { openWorld, policy, type World } from './token-exchange.ts';

const REALM = 'authentication-demo';
const AUDIENCE = 'authentication-demo';
const SECRET = 'a-development-secret-of-the-guide';
const GUIDE_SCOPES = [
  'llama:agent_create',
  'llama:agent_session_create',
  'llama:inference_chat_completion',
  'mcp:list_files',
  'mcp:get_server_info',
  'mcp:health_check',
];
/** Only for who has the role `admin`. */
const ADMIN_SCOPE = 'mcp:execute_command';

/** The realm that the guide sets up by hand: a confidential client with token exchange, and its scopes. */
function guideRealm(): { realm: string } & Record<string, unknown> {
  const audience = (client: string) => ({
    name: `aud-${client}`,
    protocol: 'openid-connect',
    protocolMapper: 'oidc-audience-mapper',
    config: { 'included.custom.audience': client, 'access.token.claim': 'true' },
  });
  const scope = (name: string, protocolMappers: object[], inToken = true) => ({
    name,
    protocol: 'openid-connect',
    attributes: { 'include.in.token.scope': String(inToken) },
    protocolMappers,
  });
  const subject = {
    name: 'sub',
    protocol: 'openid-connect',
    protocolMapper: 'oidc-sub-mapper',
    config: { 'access.token.claim': 'true' },
  };
  const reachable = {
    name: 'aud',
    protocol: 'openid-connect',
    protocolMapper: 'oidc-audience-mapper',
    config: { 'included.client.audience': AUDIENCE, 'access.token.claim': 'true' },
  };
  const confidential = (clientId: string, exchange: boolean) => ({
    clientId,
    secret: SECRET,
    clientAuthenticatorType: 'client-secret',
    standardFlowEnabled: false,
    fullScopeAllowed: true,
    attributes: { 'standard.token.exchange.enabled': String(exchange) },
    defaultClientScopes: ['basic'],
    optionalClientScopes: [...GUIDE_SCOPES, ADMIN_SCOPE],
  });
  const login = (clientId: string, audiences: string[]) => ({
    clientId,
    publicClient: true,
    standardFlowEnabled: false,
    directAccessGrantsEnabled: true,
    fullScopeAllowed: true,
    defaultClientScopes: ['basic'],
    protocolMappers: [
      ...audiences.map(audience),
      // R3: only the audience's own roles count.
      {
        name: 'roles',
        protocol: 'openid-connect',
        protocolMapper: 'oidc-usermodel-client-role-mapper',
        config: {
          'usermodel.clientRoleMapping.clientId': 'token-exchange',
          'claim.name': 'resource_access.token-exchange.roles',
          'jsonType.label': 'String',
          multivalued: 'true',
          'access.token.claim': 'true',
        },
      },
    ],
  });
  const user = (username: string, realmRoles: string[], roles: string[]) => ({
    username,
    enabled: true,
    email: `${username}@acme.example`,
    emailVerified: true,
    firstName: username,
    lastName: 'Example',
    credentials: [{ type: 'password', value: `${username}-password`, temporary: false }],
    realmRoles,
    clientRoles: { 'token-exchange': roles },
  });
  return {
    realm: REALM,
    enabled: true,
    sslRequired: 'all',
    accessTokenLifespan: 300,
    roles: {
      realm: [{ name: 'admin' }],
      client: { 'token-exchange': [{ name: 'user' }, { name: 'admin' }] },
    },
    clientScopes: [
      scope('basic', [subject], false),
      ...[...GUIDE_SCOPES, ADMIN_SCOPE].map((name) => scope(name, [reachable])),
    ],
    scopeMappings: [{ clientScope: ADMIN_SCOPE, roles: ['admin'] }],
    clients: [
      confidential(REALM, true),
      confidential('without-exchange', false),
      { clientId: 'token-exchange', bearerOnly: true },
      login('portal-login', [REALM, 'without-exchange', 'token-exchange']),
      login('elsewhere-login', ['elsewhere']),
    ],
    users: [user('alice', [], ['user']), user('ada', ['admin'], ['user', 'admin'])],
  };
}

/** The policy of the development world with the guide's scopes in it. */
function guidePolicy(): PolicyDocument {
  const scope = (name: string, more = {}) => ({
    name,
    description: `The guide's ${name}`,
    audience: AUDIENCE,
    risk: 'medium',
    decision: 'auto_approve',
    longestLifeSeconds: 300,
    ...more,
  });
  const target = {
    audience: AUDIENCE,
    description: 'Llama Stack and its tools',
    minter: 'postern',
    longestLifeSeconds: 300,
  };
  const subjects = [{ kind: 'provider-access', clients: ['portal-login', 'elsewhere-login'], person: 'required' }];
  return policyDocument.parse({
    ...policy,
    targets: [...policy.targets, target],
    scopes: [
      ...policy.scopes,
      ...GUIDE_SCOPES.map((name) => scope(name)),
      scope(ADMIN_SCOPE, { risk: 'critical', role: 'admin', decision: 'role_required' }),
    ],
    workloads: policy.workloads.map((one) =>
      one.name === 'portal'
        ? {
            ...one,
            bearerSubjects: ['portal-login', 'elsewhere-login'],
            asks: [...one.asks, { audience: AUDIENCE, scopes: [...GUIDE_SCOPES, ADMIN_SCOPE], subjects }],
          }
        : one,
    ),
  });
}

describeWith(await realPart('Keycloak 26', keycloakDistribution), 'the guide, on the real Keycloak', () => {
  let keycloak: RunningKeycloak;
  let world: World;
  let agent: Agent;
  let ca: string;
  let portal: { cert: string; key: string; ca: string };
  let realmEntry: IssuerEntry;

  beforeAll(async () => {
    const tls = await developmentCa().issue('identity-provider');
    ca = tls.ca;
    agent = new Agent({ connect: { ca } });
    keycloak = await startKeycloak({ tls, realms: [guideRealm()] });
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
    world = await openWorld({ realmEntry, document: guidePolicy(), env: { POSTERN_PROFILE: 'fedramp-low' } });
    portal = (await developmentCa().issue('portal')).paths;
  }, 240_000);
  afterAll(async () => {
    await agent.close();
    await world.close();
    await keycloak.close();
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
      const app = protectedServer();
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

    /** Llama Stack's agents and an MCP server, as resource servers: each says which scope is lacking in its own way. */
    function protectedServer(): express.Express {
      const app = express();
      app.use(express.json());
      const scopesOf = async (request: express.Request): Promise<ReadonlySet<string>> => {
        const { raw } = (request.socket as TLSSocket).getPeerCertificate();
        const thumbprint = raw && createHash('sha256').update(raw).digest('base64url');
        const token = (request.headers.authorization ?? '').replace(/^Bearer /, '');
        const shown = thumbprint === undefined ? {} : { certificateThumbprint: thumbprint, workload: 'portal' };
        return verifier.verify(token, shown).then(
          ({ scopes: has }) => has,
          () => new Set(),
        );
      };
      app.post(/agents$/, async (request, response) => {
        const has = await scopesOf(request);
        if (has.has('llama:agent_create')) return void response.json({ agent_id: 'agent-1' });
        response.status(403).json({ error: { message: "Insufficient scope: required scope 'llama:agent_create'" } });
      });
      app.post('/mcp', async (request, response) => {
        const has = await scopesOf(request);
        const mcp = new McpServer({ name: 'files', version: '1.0.0' });
        for (const name of ['list_files', 'health_check', 'execute_command']) {
          mcp.registerTool(name, { description: name }, async () => {
            if (!has.has(`mcp:${name}`)) {
              return {
                isError: true,
                content: [{ type: 'text' as const, text: `Insufficient scope. Required scope: mcp:${name}` }],
              };
            }
            ran.push(name);
            return { content: [{ type: 'text' as const, text: `${name} done` }] };
          });
        }
        const transport = new StreamableHTTPServerTransport({ sessionIdGenerator: undefined } as never);
        response.on('close', () => void mcp.close());
        await mcp.connect(transport as never);
        await transport.handleRequest(request, response, request.body);
      });
      app.get('/mcp', (_request, response) => void response.status(405).end());
      return app;
    }

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
});
