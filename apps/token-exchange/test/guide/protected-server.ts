import { McpServer } from '@modelcontextprotocol/sdk/server/mcp.js';
import { StreamableHTTPServerTransport } from '@modelcontextprotocol/sdk/server/streamableHttp.js';
import type { TokenVerifier } from '@postern/oidc';
import express from 'express';
import { createHash } from 'node:crypto';
import type { TLSSocket } from 'node:tls';

/**
 * Llama Stack's agents and an MCP server, as resource servers: each says which scope is lacking in its own way.
 * @param ran hears of each tool that did its work
 */
export function protectedServer(verifier: TokenVerifier, ran: (tool: string) => void): express.Express {
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
        ran(name);
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
