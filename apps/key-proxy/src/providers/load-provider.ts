import { type Egress } from '@postern/egress';
import { type Now } from '@postern/runtime';
import { type Configuration } from './configuration.ts';
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

/**
 * A provider as a tenant configured it. Each SDK is read when the first tenant that uses it comes: a start pays for none.
 */
export async function loadProvider(
  { egress, assertionFor, timeoutMs, now, endpoints = {} }: LoadProvider,
  tenant: string,
  { kind, settings, secrets }: Configuration,
): Promise<SecretProvider> {
  const setting = (name: string): string => need(settings[name], name);
  const secret = (name: string) => need(secrets[name], name);
  switch (kind) {
    case 'aws': {
      const { awsProvider } = await import('./aws/aws-provider.ts');
      const region = setting('region');
      const common = { region, egress, timeoutMs, ...(endpoints.aws === undefined ? {} : { endpoint: endpoints.aws }) };
      if ('secret_access_key' in secrets) {
        const accessKeyId = setting('access_key_id');
        return awsProvider({
          ...common,
          credentials: { accessKeyId, secretAccessKey: secret('secret_access_key').reveal() },
        });
      }
      const { roleByAssertion } = await import('./aws/web-identity.ts');
      const assertion = () => assertionFor(tenant, AWS_AUDIENCE);
      return awsProvider({
        ...common,
        credentials: roleByAssertion({ ...common, roleArn: setting('role_arn'), assertion }),
      });
    }
    case 'gcp': {
      const [{ gcpProvider }, { accessTokens }] = await Promise.all([
        import('./gcp/gcp-provider.ts'),
        import('./gcp/access-token.ts'),
      ]);
      const { google } = endpoints;
      const account = {
        clientEmail: setting('client_email'),
        privateKeyId: setting('private_key_id'),
        privateKey: secret('private_key'),
      };
      const accessToken = accessTokens({
        account,
        egress,
        timeoutMs,
        now,
        ...(google ? { endpoint: google.tokenEndpoint } : {}),
      });
      return gcpProvider({
        projectId: setting('project_id'),
        accessToken,
        egress,
        ...(google ? { endpoint: google } : {}),
      });
    }
    case 'azure': {
      const { azureProvider } = await import('./azure/azure-provider.ts');
      return azureProvider({
        vaultUrl: setting('vault_url'),
        tenantId: setting('tenant_id'),
        clientId: setting('client_id'),
        credential:
          'client_secret' in secrets
            ? { clientSecret: secret('client_secret') }
            : { assertion: () => assertionFor(tenant, AZURE_AUDIENCE) },
        egress,
        timeoutMs,
        ...(endpoints.azure ? { standIn: endpoints.azure } : {}),
      });
    }
    case 'openbao': {
      const { openBaoProvider } = await import('./openbao/openbao-provider.ts');
      const namespace = settings['namespace'];
      return openBaoProvider({
        address: setting('address'),
        mount: setting('mount'),
        ...(namespace === undefined ? {} : { namespace }),
        login:
          'token' in secrets
            ? { token: secret('token') }
            : { roleId: setting('role_id'), secretId: secret('secret_id') },
        egress,
        timeoutMs,
        now,
      });
    }
  }
}

function need<T>(value: T | undefined, name: string): T {
  if (value === undefined) throw new TypeError(`a configuration lacks ${name}`);
  return value;
}
