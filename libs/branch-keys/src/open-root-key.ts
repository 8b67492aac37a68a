import { readFile } from 'node:fs/promises';
import { type RootKeyConfig } from '@postern/runtime';
import { openAwsKmsRootKey } from './aws-kms-root-key.ts';
import { openLocalRootKey } from './local-root-key.ts';
import { type RootKey } from './root-key.ts';
import { webIdentityCredentials } from './web-identity.ts';

/** The root key that a service's configuration names. `service` is the session's name in the cloud's log. */
export async function openRootKey(config: RootKeyConfig, service: string): Promise<RootKey> {
  if (config.kind === 'local') return openLocalRootKey(config);
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
