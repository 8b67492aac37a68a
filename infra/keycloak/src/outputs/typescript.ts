import { type PosternDocument } from '../document/postern-document.ts';
import { endpointsOf, issuerOf, NothingToGenerate, type OutputFile } from './output.ts';

type ClientConfig = ReturnType<typeof endpointsOf> & {
  clientId: string;
  audience: string;
  senderConstraint: string;
  clientAuthentication: string;
};

const configs = (document: PosternDocument): [string, Partial<ClientConfig>][] => {
  const { auth } = document.document;
  const own: [string, ClientConfig][] = document.realms.flatMap((realm) =>
    realm.clients.map((client): [string, ClientConfig] => [
      client.clientId,
      {
        clientId: client.clientId,
        ...endpointsOf(issuerOf(document, realm.name)),
        audience: client.clientId,
        clientAuthentication: client.authentication,
        senderConstraint: client.binding,
      },
    ]),
  );
  if (own.length > 0) return own;
  if (!auth) throw new NothingToGenerate('this document names no client and no [auth]');
  const endpoints = endpointsOf(auth.issuer_url);
  return [[auth.client_id, { clientId: auth.client_id, ...endpoints, jwksUri: auth.jwks_uri ?? endpoints.jwksUri }]];
};

const literal = (value: unknown) =>
  JSON.stringify(value, null, 2).replace(/[\u2028\u2029]/g, (one) => `\\u${one.charCodeAt(0).toString(16)}`);

/** Section 4.1's generated configuration, for TypeScript: one constant with the clients by their ids. */
export function typescriptFiles(document: PosternDocument): OutputFile[] {
  const text = `// Generated from ${document.document.app.name}'s postern.toml: do not edit.
export const keycloakClients = ${literal(Object.fromEntries(configs(document)))} as const;

export type KeycloakClientId = keyof typeof keycloakClients;
`;
  return [{ path: 'postern-config.ts', text }];
}
