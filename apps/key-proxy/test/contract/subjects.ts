import { openEgress } from '@postern/egress';
import { closeInReverse, Secret, systemNow } from '@postern/runtime';
import { developmentCa } from '@postern/testing';
import { startAzure } from '@postern/testing/azure';
import { startGoogle } from '@postern/testing/google';
import { type HttpsFront, passOnTo, startHttpsFront } from '@postern/testing/https-front';
import { startOpenBao } from '@postern/testing/openbao';
import { startSecretsManager } from '@postern/testing/secrets-manager';
import { type Configuration, type ConfiguredKind } from '../../src/providers/configuration.ts';
import { type CloudEndpoints, loadProvider } from '../../src/providers/load-provider.ts';
import { type ProviderKind } from '../../src/providers/provider-kind.ts';
import { type OnBehalf, type SecretProvider } from '../../src/providers/secret-provider.ts';

/** A provider, and on whose behalf it is called: null where it has credentials of its own. */
type Reached = { provider: SecretProvider; by: OnBehalf | null };

/** A provider under the contract, over the real part or the stand-in, and the ways to make that misbehave. */
export type Subject = Reached & {
  kind: ProviderKind;
  /** Every server that a call goes through. */
  ways: readonly HttpsFront[];
  /** The same with what the part does not take, and the error: other credentials, or a caller's token that has ended. */
  withBadCredentials(): Promise<readonly (Reached & { code: string })[]>;
  close(): Promise<void>;
};

/** One that a tenant configures. */
export type ConfiguredSubject = Subject & {
  kind: ConfiguredKind;
  front: HttpsFront;
  endpoints: CloudEndpoints;
  configuration: Configuration;
};

export const TIMEOUT_MS = 4_000;

/** The parts, each behind TLS of its own so that all go over the one way out. */
export async function openSubject(kind: ConfiguredKind): Promise<ConfiguredSubject> {
  const closing = closeInReverse();
  const ca = await developmentCa().certificate();
  const { front, configuration, bad, endpoints } = await parts[kind](closing);
  const egress = closing.after(
    openEgress({ allow: [`127.0.0.1:${front.port}`], publicAddresses: false, listedAuthorities: () => ca }),
  );
  const deps = {
    egress,
    assertionFor: async () => Promise.reject(new Error('no assertion here')),
    timeoutMs: TIMEOUT_MS,
    now: systemNow,
    endpoints,
  };
  const open = async (given: Configuration) => {
    const opened = await loadProvider(deps, 'acme', given);
    closing.add(() => opened.close());
    return opened;
  };
  return {
    kind,
    provider: await open(configuration),
    by: null,
    front,
    ways: [front],
    withBadCredentials: async () => [{ provider: await open(bad), by: null, code: 'provider_credentials_refused' }],
    endpoints,
    configuration,
    close: closing.close,
  };
}

type Part = { front: HttpsFront; configuration: Configuration; bad: Configuration; endpoints: CloudEndpoints };
type Closing = ReturnType<typeof closeInReverse>;

const configured = (
  kind: ConfiguredKind,
  settings: Record<string, string>,
  secrets: Record<string, string>,
): Configuration => ({
  kind,
  settings,
  secrets: Object.fromEntries(Object.entries(secrets).map(([name, value]) => [name, new Secret(value)])),
});

const parts: Record<ConfiguredKind, (closing: Closing) => Promise<Part>> = {
  async aws(closing) {
    const aws = closing.after(await startSecretsManager());
    const { region, accessKeyId: access_key_id, secretAccessKey: secret_access_key } = aws;
    return {
      front: aws,
      configuration: configured('aws', { region, access_key_id }, { secret_access_key }),
      bad: configured('aws', { region, access_key_id: 'AKIAEXPIRED00000' }, { secret_access_key }),
      endpoints: { aws: aws.url },
    };
  },
  async gcp(closing) {
    const google = closing.after(await startGoogle());
    const { client_email = '', private_key_id = '', private_key = '' } = google.serviceAccount;
    const settings = { project_id: google.projectId, client_email, private_key_id };
    const other = closing.after(await startGoogle()).serviceAccount['private_key'] ?? '';
    return {
      front: google,
      configuration: configured('gcp', settings, { private_key }),
      bad: configured('gcp', settings, { private_key: other }),
      endpoints: { google: { host: '127.0.0.1', port: google.port, tokenEndpoint: google.tokenEndpoint } },
    };
  },
  async azure(closing) {
    const azure = closing.after(await startAzure());
    const settings = { vault_url: azure.url, tenant_id: azure.tenantId, client_id: azure.clientId };
    return {
      front: azure,
      configuration: configured('azure', settings, { client_secret: azure.clientSecret }),
      bad: configured('azure', settings, { client_secret: 'expired' }),
      endpoints: { azure: { authorityHost: azure.url } },
    };
  },
  async openbao(closing) {
    const bao = closing.after(await startOpenBao());
    const front = closing.after(await startHttpsFront(passOnTo(bao.address)));
    const settings = { address: front.url, mount: 'secret' };
    return {
      front,
      configuration: configured('openbao', settings, { token: bao.rootToken }),
      bad: configured('openbao', settings, { token: 'hvs.expired' }),
      endpoints: {},
    };
  },
};
