import { readFile } from 'node:fs/promises';
import { type RootKeyConfig } from '@postern/runtime';
import { openLocalRootKey } from './local-root-key.ts';
import { type RootKey } from './root-key.ts';

/** The root key that a service's configuration names. `service` is the session's name in the cloud's log. */
export async function openRootKey(config: RootKeyConfig, service: string): Promise<RootKey> {
  if (config.kind === 'local') return openLocalRootKey(config);
  // The SDK is a large part of a process: it is loaded by those that use it.
  const [{ openAwsKmsRootKey }, { webIdentityCredentials }] = await Promise.all([
    import('./aws-kms-root-key.ts'),
    import('./web-identity.ts'),
  ]);
  const { keyArn, roleArn, tokenPath, endpoint } = config;
  const region = keyArn.split(':')[3] ?? '';
  const credentials = webIdentityCredentials({
    roleArn,
    sessionName: service,
    region,
    token: async () => (await readFile(tokenPath, 'utf8')).trim(),
    ...(endpoint === undefined ? {} : { endpoint }),
  });
  return openAwsKmsRootKey({ keyArn, credentials, ...(endpoint === undefined ? {} : { endpoint }) });
}
