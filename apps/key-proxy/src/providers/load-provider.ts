import { type Egress } from '@postern/egress';
import { type Now, type Secret } from '@postern/runtime';
import { type Configuration, type ConfiguredKind } from './configuration.ts';
import { type SecretProvider } from './secret-provider.ts';

/** Where emulators and stand-ins answer in place of the clouds: given by tests alone, no setting names it (R6, R36). */
export type CloudEndpoints = {
  aws?: string;
  google?: { host: string; port: number; tokenEndpoint: string };
  azure?: { authorityHost: string };
};

export type LoadProvider = {
  egress: Pick<Egress, 'request' | 'fetch'>;
  /** Mints the tenant's assertion for an audience (R36). */
  assertionFor: (tenant: string, audience: string) => Promise<string>;
  timeoutMs: number;
  now: Now;
  endpoints?: CloudEndpoints | undefined;
};

const AWS_AUDIENCE = 'sts.amazonaws.com';
const AZURE_AUDIENCE = 'api://AzureADTokenExchange';

type Load = (deps: LoadProvider, tenant: string, configuration: Given) => Promise<SecretProvider>;

/** What a tenant gave, field by field. */
type Given = { has(name: string): boolean; setting(name: string): string; secret(name: string): Secret };

/**
 * A provider as a tenant configured it. Each SDK is read when the first tenant that uses it comes: a start pays for none.
 */
export function loadProvider(
  deps: LoadProvider,
  tenant: string,
  { kind, settings, secrets }: Configuration,
): Promise<SecretProvider> {
  return loads[kind](deps, tenant, {
    has: (name) => name in settings || name in secrets,
    setting: (name) => need(settings[name], name),
    secret: (name) => need(secrets[name], name),
  });
}

const aws: Load = async ({ egress, assertionFor, timeoutMs, endpoints }, tenant, given) => {
  const { awsProvider } = await import('./aws/aws-provider.ts');
  const endpoint = endpoints?.aws;
  const common = {
    region: given.setting('region'),
    egress,
    timeoutMs,
    ...(endpoint === undefined ? {} : { endpoint }),
  };
  if (given.has('secret_access_key')) {
    const accessKeyId = given.setting('access_key_id');
    const secretAccessKey = given.secret('secret_access_key').reveal();
    return awsProvider({ ...common, credentials: { accessKeyId, secretAccessKey } });
  }
  const { roleByAssertion } = await import('./aws/web-identity.ts');
  const assertion = () => assertionFor(tenant, AWS_AUDIENCE);
  const credentials = roleByAssertion({ ...common, roleArn: given.setting('role_arn'), assertion });
  return awsProvider({ ...common, credentials });
};

const gcp: Load = async ({ egress, timeoutMs, now, endpoints }, _tenant, given) => {
  const [{ gcpProvider }, { accessTokens }] = await Promise.all([
    import('./gcp/gcp-provider.ts'),
    import('./gcp/access-token.ts'),
  ]);
  const standIn = endpoints?.google;
  const account = {
    clientEmail: given.setting('client_email'),
    privateKeyId: given.setting('private_key_id'),
    privateKey: given.secret('private_key'),
  };
  const endpoint = standIn ? { endpoint: standIn.tokenEndpoint } : {};
  const accessToken = accessTokens({ account, egress, timeoutMs, now, ...endpoint });
  const projectId = given.setting('project_id');
  return gcpProvider({ projectId, accessToken, egress, ...(standIn ? { endpoint: standIn } : {}) });
};

const azure: Load = async ({ egress, assertionFor, timeoutMs, endpoints }, tenant, given) => {
  const { azureProvider } = await import('./azure/azure-provider.ts');
  return azureProvider({
    vaultUrl: given.setting('vault_url'),
    tenantId: given.setting('tenant_id'),
    clientId: given.setting('client_id'),
    credential: given.has('client_secret')
      ? { clientSecret: given.secret('client_secret') }
      : { assertion: () => assertionFor(tenant, AZURE_AUDIENCE) },
    egress,
    timeoutMs,
    ...(endpoints?.azure ? { standIn: endpoints.azure } : {}),
  });
};

const openbao: Load = async ({ egress, timeoutMs, now }, _tenant, given) => {
  const { openBaoProvider } = await import('./openbao/openbao-provider.ts');
  return openBaoProvider({
    address: given.setting('address'),
    mount: given.setting('mount'),
    ...(given.has('namespace') ? { namespace: given.setting('namespace') } : {}),
    login: given.has('token')
      ? { token: given.secret('token') }
      : { roleId: given.setting('role_id'), secretId: given.secret('secret_id') },
    egress,
    timeoutMs,
    now,
  });
};

const loads: Readonly<Record<ConfiguredKind, Load>> = { aws, gcp, azure, openbao };

function need<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new TypeError(`a configuration lacks ${name}`);
  return value;
}
