import { jwksBeside, type Jwks } from './beside.ts';
import { type Grant } from '../realm/model.ts';
import { type Reading } from './reading.ts';
import { PUBLIC_FAPI_REASON, PUBLIC_FAPI_SUGGESTION, R9_REASON } from './reasons.ts';
import { type Document, type KeycloakTable } from './schema.ts';
import { type ClientTable, type clientKinds } from './schema/client.ts';
import { type Origin, type Resolved } from './settings.ts';

export type ClientKind = (typeof clientKinds)[number];

export type ResolvedClient = {
  /** The name of its table. */
  id: string;
  clientId: string;
  table: ClientTable;
  kind: ClientKind;
  grants: readonly Grant[];
  authentication: 'none' | 'certificate' | 'private-key-jwt' | 'secret';
  fapi: boolean;
  requirePkce: boolean;
  requirePar: boolean;
  binding: 'none' | 'certificate' | 'dpop';
  secretReference?: string;
  jwks?: Jwks;
};

const grantsOf: Record<ClientKind, (table: ClientTable) => Grant[]> = {
  'web-app': () => ['code'],
  'api-service': ({ redirect_uris: uris }) =>
    uris.length > 0 ? ['code', 'client-credentials'] : ['client-credentials'],
  'cli-tool': () => ['device'],
  worker: () => ['client-credentials'],
};

function kindOf({ kind, type, redirect_uris: uris }: ClientTable): ClientKind {
  if (kind) return kind;
  if (uris.length > 0) return type === 'public' ? 'web-app' : 'api-service';
  return type === 'public' ? 'cli-tool' : 'worker';
}

/** Fills in what the document leaves to the profile (sections 3.2, 3.3), and refuses what a standard or a rule forbids. */
export function resolveClient(
  id: string,
  keycloak: KeycloakTable,
  flat: Document['secrets'],
  reading: Reading,
  resolved: Resolved,
): ResolvedClient {
  const table = keycloak.client[id] as ClientTable;
  const { profile, refuse, waivers, findings, lineOf } = reading;
  const at = (key: string) => ['keycloak', 'client', id, key] as const;
  const confidential = table.type === 'confidential';
  const bearerOnly = table.type === 'bearer-only';
  const kind = kindOf(table);

  /** A switch: the document's value, else the standard; weaker than `least` only with a waiver. */
  const choose = (
    key: keyof ClientTable,
    standard: boolean,
    least: boolean,
    control: string,
    ofProfile: boolean,
  ): boolean => {
    const given = table[key] as boolean | undefined;
    const value = given ?? standard;
    if (least && !value) waivers.weaker(reading, at(key), { allowed: 'true', control });
    const origin: Origin =
      given !== undefined
        ? { from: 'document', line: lineOf(at(key)) }
        : ofProfile
          ? { from: 'profile', profile: profile.name }
          : { from: 'default' };
    resolved.push({ key: at(key).join('.'), value, origin, control });
    return value;
  };

  const logsIn = !bearerOnly;
  const fapi = choose('enable_fapi', logsIn && profile.fapi, logsIn && profile.fapi, 'SC-23', true);
  const code = logsIn && grantsOf[kind](table).includes('code');
  const requirePkce = choose('require_pkce', code, code, 'SC-23', false);
  const requirePar = choose('require_par', code && fapi, code && profile.fapi, 'SC-23', false);
  const keyed = table.authentication === 'private-key-jwt' || table.authentication === 'secret';
  const requireMtls = choose(
    'require_mtls',
    confidential && fapi && (!keyed || profile.requireMtls),
    confidential && profile.requireMtls,
    'SC-8',
    true,
  );
  const certificateBound = choose(
    'certificate_bound_tokens',
    confidential && requireMtls && !table.offline_access,
    confidential && profile.certificateBoundTokens,
    'SC-23',
    true,
  );
  const secretReference = table.secrets?.client_secret ?? flat?.[`${id.replaceAll('-', '_')}_client_secret`];
  const authentication = !confidential
    ? 'none'
    : (table.authentication ??
      (requireMtls ? 'certificate' : (table.jwks_uri ?? table.jwks_file) ? 'private-key-jwt' : 'secret'));
  const binding = bearerOnly
    ? 'none'
    : certificateBound
      ? 'certificate'
      : fapi || profile.senderBinding === 'required'
        ? 'dpop'
        : 'none';

  const secret = typeof secretReference === 'string' || table.client_secret_file !== undefined;
  if (certificateBound && !confidential)
    refuse(at('certificate_bound_tokens'), `a ${table.type} client has no certificate`, { allowed: 'false' });
  if (requireMtls && !confidential)
    refuse(at('require_mtls'), `a ${table.type} client has no certificate`, { allowed: 'false' });
  if (certificateBound && table.offline_access)
    refuse(at('offline_access'), R9_REASON, { allowed: 'false', control: 'SC-23' });
  if (table.offline_access && !code)
    refuse(at('offline_access'), 'only a client with logins keeps offline tokens', { allowed: 'false' });
  if (authentication === 'secret' && fapi)
    refuse(at('authentication'), 'FAPI 2.0 accepts no client secret (5.3.2.1)', {
      allowed: 'certificate, private-key-jwt',
      control: 'IA-9',
    });
  else if (authentication === 'secret' && !secret)
    refuse(at('secrets'), 'no secret is named for a client that proves itself by one', {
      allowed: `[keycloak.client.${id}.secrets] client_secret = "age:..."`,
    });
  if (authentication === 'private-key-jwt' && !table.jwks_uri && !table.jwks_file)
    refuse(at('jwks_uri'), 'is missing: the keys of private_key_jwt', { allowed: 'jwks_uri or jwks_file' });
  if (table.jwks_uri && table.jwks_file)
    refuse(at('jwks_file'), 'stands beside jwks_uri', { allowed: 'one of the two' });
  if (!confidential && table.authentication)
    refuse(at('authentication'), `a ${table.type} client does not prove itself`, { allowed: 'type = "confidential"' });
  if (code && table.redirect_uris.length === 0)
    refuse(at('redirect_uris'), 'is empty: nobody could come back from a login', { allowed: 'at least one address' });
  if (!code && table.redirect_uris.length > 0)
    refuse(at('redirect_uris'), `a ${bearerOnly ? 'bearer-only client' : kind} has no logins in a browser`, {
      allowed: 'none',
    });
  if (!confidential && grantsOf[kind](table).includes('client-credentials') && !bearerOnly)
    refuse(at('kind'), 'a public client cannot log itself in', { allowed: 'web-app, cli-tool' });
  if (table.token_exchange && !confidential)
    refuse(at('token_exchange'), 'only a confidential client may exchange tokens', {
      allowed: 'false',
      control: 'AC-3',
    });
  if (table.encrypted_id_tokens && !table.jwks_uri && !table.jwks_file)
    refuse(at('encrypted_id_tokens'), 'needs the keys to encrypt to', { allowed: 'jwks_uri or jwks_file' });
  if (fapi && table.redirect_uris.some((uri) => uri.startsWith('http:')) && confidential)
    refuse(at('redirect_uris'), 'FAPI 2.0 takes https only', { allowed: 'https addresses' });

  const jwks = table.jwks_file ? jwksBeside(reading, at('jwks_file'), table.jwks_file) : undefined;

  if (table.type === 'public' && fapi)
    findings.push({
      id: 'public-client-under-fapi',
      key: at('type').join('.'),
      line: lineOf(at('type')),
      severity: 'warning',
      control: 'IA-9',
      message: PUBLIC_FAPI_REASON,
      suggestion: PUBLIC_FAPI_SUGGESTION,
    });
  if (secret && authentication !== 'secret')
    findings.push({
      id: 'secret-not-used',
      key: at('secrets').join('.'),
      line: lineOf(table.secrets ? at('secrets') : ['secrets', `${id.replaceAll('-', '_')}_client_secret`]),
      severity: 'note',
      control: 'IA-5',
      message: `the client proves itself by ${authentication}: its secret is never used`,
      suggestion: 'remove the reference, and the secret',
    });
  return {
    id,
    clientId: table.client_id ?? id,
    table,
    kind,
    grants: bearerOnly
      ? []
      : [...grantsOf[kind](table), ...(table.token_exchange ? (['token-exchange'] as const) : [])],
    authentication,
    fapi,
    requirePkce,
    requirePar,
    binding,
    ...(jwks ? { jwks } : {}),
    ...(authentication === 'secret' && typeof secretReference === 'string' ? { secretReference } : {}),
  };
}
