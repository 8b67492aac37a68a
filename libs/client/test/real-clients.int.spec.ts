import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from '@jest/globals';
import { Client } from '@modelcontextprotocol/sdk/client/index.js';
import { StreamableHTTPClientTransport } from '@modelcontextprotocol/sdk/client/streamableHttp.js';
import { requireBearerAuth } from '@modelcontextprotocol/sdk/server/auth/middleware/bearerAuth.js';
import { InvalidTokenError } from '@modelcontextprotocol/sdk/server/auth/errors.js';
import type { AuthInfo } from '@modelcontextprotocol/sdk/server/auth/types.js';
import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import express from 'express';
import LlamaStackClient from 'llama-stack-client';
import type { Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { fromEnvironment, scopesNamedBy, type Scopes } from '../src/index.ts';
import { startLocalPostern, type LocalPostern } from '../src/testing/index.ts';

let local: LocalPostern;
let scopes: Scopes;
let subject: string;

beforeAll(async () => {
  local = await startLocalPostern({
    scopes: {
      'mcp:connect': { audience: 'mcp' },
      'mcp:list_files': { audience: 'mcp' },
      'mcp:health_check': { audience: 'mcp' },
      'mcp:execute_command': { audience: 'mcp', decision: 'deny' },
      'llama:agent_create': { audience: 'llama' },
      'llama:models_list': { audience: 'llama', decision: 'approve' },
    },
  });
});
afterAll(() => local.close());
beforeEach(async () => {
  subject = await local.subjectToken({ sub: 'alice' });
  scopes = fromEnvironment({ env: local.env, envFile: 'none', token: () => subject });
});
afterEach(() => scopes.close());

async function listening(app: express.Express): Promise<{ origin: string; server: Server }> {
  const server = app.listen(0, '127.0.0.1');
  await new Promise((ready) => server.once('listening', ready));
  return { origin: `http://127.0.0.1:${(server.address() as AddressInfo).port}`, server };
}
const closed = (server: Server) =>
  new Promise<void>((done) => {
    server.close(() => done());
    server.closeAllConnections();
  });

describe.each(['json', 'stream'] as const)('a real MCP server that protects its tools, answering by %s', (how) => {
  let server: Server;
  let url: URL;
  let ran: string[];

  /** A tool that says in its own words which scope it lacks, as MCP servers do. */
  function toolsFor(auth: AuthInfo | undefined): McpServer {
    const mcp = new McpServer({ name: 'files', version: '1.0.0' });
    const guarded = (name: string, lacks: (scope: string) => object) =>
      mcp.registerTool(name, { description: name }, async () => {
        const scope = `mcp:${name}`;
        if (!auth?.scopes.includes(scope)) return { content: [], ...lacks(scope), isError: true };
        ran.push(name);
        return { content: [{ type: 'text' as const, text: `${name} done` }] };
      });
    guarded('list_files', (scope) => ({
      content: [{ type: 'text', text: `Insufficient scope. Required scope: ${scope}` }],
    }));
    guarded('health_check', (scope) => ({
      content: [],
      structuredContent: { error: 'insufficient_scope', required_scope: scope },
    }));
    guarded('execute_command', (scope) => ({
      content: [{ type: 'text', text: `{"error":"insufficient_scope","scope":"${scope}"}` }],
    }));
    return mcp;
  }

  beforeAll(async () => {
    const app = express();
    app.use(express.json());
    const verifier = {
      async verifyAccessToken(token: string): Promise<AuthInfo> {
        const claims = await local
          .verify(`Bearer ${token}`, 'mcp')
          .catch(() => local.verify(`Bearer ${token}`, 'local'));
        if (claims.exp === undefined) throw new InvalidTokenError('no exp');
        return {
          token,
          clientId: 'x',
          scopes: String(claims['scope']).split(' ').filter(Boolean),
          expiresAt: claims.exp,
        };
      },
    };
    app.post('/mcp', requireBearerAuth({ verifier, requiredScopes: ['mcp:connect'] }), async (request, response) => {
      const mcp = toolsFor((request as { auth?: AuthInfo }).auth);
      const transport = new StreamableHTTPServerTransport({
        sessionIdGenerator: undefined,
        enableJsonResponse: how === 'json',
      } as never);
      response.on('close', () => void mcp.close());
      await mcp.connect(transport as never);
      await transport.handleRequest(request, response, request.body);
    });
    app.get('/mcp', (_request, response) => void response.status(405).end());
    const opened = await listening(app);
    server = opened.server;
    url = new URL('/mcp', opened.origin);
  });
  afterAll(() => closed(server));
  beforeEach(() => {
    ran = [];
  });

  async function connected(options = {}): Promise<Client> {
    const client = new Client({ name: 'caller', version: '1.0.0' });
    const fetch = scopes.fetchFor(url, { audience: 'mcp', ...options });
    await client.connect(new StreamableHTTPClientTransport(url, { fetch }) as never);
    return client;
  }

  test('the connection, and then each tool, gets the scope that it names, once', async () => {
    const before = local.exchanges.length;
    const client = await connected();
    for (const name of ['list_files', 'health_check', 'list_files']) {
      expect(await client.callTool({ name, arguments: {} })).toMatchObject({ content: [{ text: `${name} done` }] });
    }
    expect(ran).toEqual(['list_files', 'health_check', 'list_files']);
    expect(local.exchanges.slice(before).map(({ scopes: got }) => got.join(' '))).toEqual([
      'mcp:connect',
      'mcp:connect mcp:list_files',
      'mcp:connect mcp:health_check mcp:list_files',
    ]);
    await client.close();
  });

  test('a tool whose scope is denied gives its own error to the caller, and did not run', async () => {
    const client = await connected();
    const answer = await client.callTool({ name: 'execute_command', arguments: {} });
    expect(answer['isError']).toBe(true);
    expect(scopesNamedBy(answer)).toEqual(['mcp:execute_command']);
    expect(ran).toEqual([]);
    await client.close();
  });

  test('an error that names no scope changes nothing', async () => {
    const client = await connected({ scopes: ['mcp:connect'] });
    const before = local.exchanges.length;
    const answer = await client.callTool({ name: 'no_such_tool', arguments: {} }).catch((error: unknown) => error);
    expect(scopesNamedBy(answer)).toEqual([]);
    expect(local.exchanges.length).toBe(before);
    await client.close();
  });
});

describe('a server behind the real Llama Stack client', () => {
  let server: Server;
  let origin: string;

  beforeAll(async () => {
    const app = express();
    app.use(express.json());
    const needs =
      (scope: string, answer: object): express.RequestHandler =>
      (request, response) => {
        local
          .verify(request.headers.authorization, 'llama')
          .then(({ scope: has }) => String(has).split(' '))
          .catch((): string[] => [])
          .then((has) => {
            if (has.includes(scope)) return response.json(answer);
            // FastAPI's way: the reason in words, and no header.
            return response.status(403).json({ error: { message: `Insufficient scope: required scope '${scope}'` } });
          })
          .catch(() => response.destroy());
      };
    app.post(/agents$/, needs('llama:agent_create', { agent_id: 'agent-1' }));
    app.get(
      /models$/,
      needs('llama:models_list', { data: [{ id: 'small', object: 'model', created: 0, owned_by: 'x' }] }),
    );
    app.get(/providers$/, needs('llama:unknown', { data: [] }));
    const opened = await listening(app);
    server = opened.server;
    origin = opened.origin;
  });
  afterAll(() => closed(server));

  // The client of today has no resource for agents any more: its own verb for what it does not name.
  const agentConfig = { body: { agent_config: { instructions: 'Help', model: 'small' } } };
  const llama = (options = {}) =>
    new LlamaStackClient({
      baseURL: origin,
      apiKey: subject,
      maxRetries: 0,
      fetch: scopes.fetchFor(origin, { audience: 'llama', ...options }) as never,
    });

  test('an agent is created once the scope that the server names was exchanged for', async () => {
    const agent = await llama().post('/v1/agents', agentConfig);
    expect(agent).toMatchObject({ agent_id: 'agent-1' });
    expect(local.exchanges.at(-1)).toMatchObject({ audience: 'llama', scopes: ['llama:agent_create'], sub: 'alice' });
  });

  test('a scope that a person approves is waited for', async () => {
    const told: (string | undefined)[] = [];
    const onApprovalPending = ({ approvalId }: { approvalId: string | undefined }) => {
      told.push(approvalId);
      local.decide(approvalId ?? '', 'approved');
    };
    const models = await llama({ onApprovalPending }).models.list();
    expect(JSON.stringify(models)).toContain('small');
    expect(told).toHaveLength(1);
  });

  test('the guide’s own way: the error of the client names the scope', async () => {
    const plain = new LlamaStackClient({ baseURL: origin, apiKey: subject, maxRetries: 0 });
    const error = await plain.post('/v1/agents', agentConfig).catch((thrown: unknown) => thrown);
    const [scope = ''] = scopesNamedBy(error);
    expect(scope).toBe('llama:agent_create');
    const apiKey = await scopes.ensureScope(scope, { audience: 'llama' });
    const again = new LlamaStackClient({ baseURL: origin, apiKey, maxRetries: 0 });
    expect(await again.post('/v1/agents', agentConfig)).toMatchObject({ agent_id: 'agent-1' });
  });

  test('a scope that does not exist leaves the server’s own refusal', async () => {
    await expect(llama().providers.list()).rejects.toMatchObject({ status: 403 });
  });
});
