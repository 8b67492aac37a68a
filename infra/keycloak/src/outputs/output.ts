import { type PosternDocument } from '../document/postern-document.ts';
import { type KeycloakTable } from '../document/schema.ts';

/** A file to write, by its path below the folder of outputs. */
export type OutputFile = { path: string; text: string; executable?: true };

/** The document has no such thing. */
export class NothingToGenerate extends Error {
  override name = 'NothingToGenerate';
}

/** The part of the document that deploys a server. @throws NothingToGenerate */
export function deployed({ document }: PosternDocument): KeycloakTable & { hostname: string } {
  const { keycloak } = document;
  if (!keycloak?.enable || !keycloak.hostname) throw new NothingToGenerate('this document deploys no Keycloak');
  return { ...keycloak, hostname: keycloak.hostname };
}

/** `https://auth.example.com`, or with its port where a browser has to name it. */
export const originOf = (document: PosternDocument): string => `https://${deployed(document).hostname}`;
export const issuerOf = (document: PosternDocument, realm: string): string => `${originOf(document)}/realms/${realm}`;

export const endpointsOf = (issuer: string) => ({
  issuerUrl: issuer,
  jwksUri: `${issuer}/protocol/openid-connect/certs`,
  authorizationEndpoint: `${issuer}/protocol/openid-connect/auth`,
  pushedAuthorizationRequestEndpoint: `${issuer}/protocol/openid-connect/ext/par/request`,
  tokenEndpoint: `${issuer}/protocol/openid-connect/token`,
  userinfoEndpoint: `${issuer}/protocol/openid-connect/userinfo`,
  endSessionEndpoint: `${issuer}/protocol/openid-connect/logout`,
});
