import { z } from 'zod';

import {
  clientId,
  httpsUrl,
  localPath,
  name,
  origin,
  path,
  redirectUri,
  roleName,
  roleReference,
  scopeName,
  text,
} from '../names.ts';
import { clientSecrets } from './secrets.ts';

/** What each kind of client is for; from it follow the grants it may use. */
export const clientKinds = ['web-app', 'api-service', 'cli-tool', 'worker'] as const;

export const client = z.strictObject({
  realm: name.optional().describe('may be left out where the document has one realm'),
  client_id: clientId.optional().describe('the name of the table unless given'),
  name: text.optional(),
  type: z.enum(['public', 'confidential', 'bearer-only']).default('confidential'),
  kind: z
    .enum(clientKinds)
    .optional()
    .describe('web-app: code; api-service: audience and code; cli-tool: device grant; worker: client credentials'),
  enable_fapi: z.boolean().optional().meta({ control: 'SC-23' }),
  require_pkce: z.boolean().optional().meta({ control: 'SC-23' }),
  require_par: z.boolean().optional().meta({ control: 'SC-23' }),
  require_mtls: z.boolean().optional().meta({ control: 'SC-8' }),
  certificate_bound_tokens: z.boolean().optional().meta({ control: 'SC-23' }),
  authentication: z.enum(['certificate', 'private-key-jwt', 'secret']).optional().meta({ control: 'IA-9' }),
  subject_dn: z
    .string()
    .regex(/^CN=[A-Za-z0-9][A-Za-z0-9._ -]{0,127}(,(O|OU|C|L|ST|DC)=[A-Za-z0-9][A-Za-z0-9._ -]{0,127}){0,8}$/)
    .optional()
    .meta({ allowed: "the certificate's whole subject as in RFC 2253, beginning with CN=", control: 'IA-9' }),
  jwks_uri: httpsUrl.optional(),
  jwks_file: localPath.optional().describe("the client's public keys (JWKS), beside the document"),
  signed_responses: z.boolean().default(false).describe('JARM: the authorization response is a signed JWT'),
  encrypted_id_tokens: z
    .boolean()
    .default(false)
    .describe('ID tokens encrypted to the keys in the JWKS')
    .meta({ control: 'SC-8' }),
  consent: z.boolean().default(false),
  offline_access: z.boolean().default(false).describe('R9: never with certificate-bound tokens'),
  token_exchange: z.boolean().default(false).describe('may exchange tokens that name it in aud (RFC 8693)'),
  redirect_uris: z.array(redirectUri).max(64).default([]),
  post_logout_redirect_uris: z.array(redirectUri).max(64).default([]),
  backchannel_logout_url: httpsUrl.optional().meta({ control: 'AC-12' }),
  web_origins: z.array(origin).max(64).default([]),
  audiences: z.array(clientId).max(64).default([]).describe('clients that its tokens are also meant for'),
  default_scopes: z.array(scopeName).max(128).default([]),
  optional_scopes: z.array(scopeName).max(128).default([]),
  roles: z.array(roleName).max(256).default([]).describe('roles that this client defines'),
  role_scope: z
    .array(roleReference)
    .max(256)
    .default([])
    .describe('roles that may stand in its tokens')
    .meta({ control: 'AC-6' }),
  client_secret_file: path.optional().meta({ control: 'IA-5' }),
  secrets: clientSecrets.optional(),
});

export type ClientTable = z.output<typeof client>;
