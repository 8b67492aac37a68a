import { createHash } from 'node:crypto';
import { createServer } from 'node:https';
import { type AddressInfo } from 'node:net';
import { type TLSSocket } from 'node:tls';
import { type Leaf, type TestIssuer } from '@postern/testing';

export type Exchange = {
  url: string;
  asked: { audience: string; scope: string }[];
  refuse: boolean;
  close(): Promise<void>;
};

/**
 * The issuing half of token-exchange for specs of what stands behind it: it mints for whoever the subject token speaks
 * for, and decides nothing. What may be exchanged is token-exchange's own suite.
 */
export async function startExchange(issuer: TestIssuer, leaf: Leaf): Promise<Exchange> {
  const options = { cert: leaf.cert, key: leaf.key, ca: leaf.ca, requestCert: true, minVersion: 'TLSv1.3' } as const;
  const server = createServer(options, (request, response) => {
    const certificate = (request.socket as TLSSocket).getPeerCertificate();
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const form = new URLSearchParams(Buffer.concat(chunks).toString());
      const asked = { audience: form.get('audience') ?? '', scope: form.get('scope') ?? '' };
      exchange.asked.push(asked);
      const answer = (status: number, body: object) => {
        response.writeHead(status, { 'content-type': 'application/json' });
        response.end(JSON.stringify(body));
      };
      if (exchange.refuse) return answer(400, { error: 'invalid_target' });
      const claims = JSON.parse(
        Buffer.from((form.get('subject_token') ?? '').split('.')[1] ?? '', 'base64url').toString(),
      ) as { sub: string; tenant: string; subject_issuer: string; client_id: string };
      const boundTo = createHash('sha256').update(certificate.raw).digest('base64url');
      void issuer
        .mint({
          audience: asked.audience,
          scopes: asked.scope.split(' '),
          sub: claims.sub,
          tenant: claims.tenant,
          subjectIssuer: claims.subject_issuer,
          clientId: 'key-proxy',
          actors: ['key-proxy', claims.client_id],
          boundTo,
        })
        .then((access_token) =>
          answer(200, { access_token, token_type: 'Bearer', expires_in: 300, scope: asked.scope }),
        );
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const exchange: Exchange = {
    url: `https://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked: [],
    refuse: false,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
  return exchange;
}
