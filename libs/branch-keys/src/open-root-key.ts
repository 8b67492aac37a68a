import { readFile } from 'node:fs/promises';
import { openAgent, type TlsMaterial } from '@postern/mtls';
import { type Logger, type RootKeyConfig } from '@postern/runtime';
import { awaitRootKey } from './await-root-key.ts';
import { joinRootKeys } from './joined-root-keys.ts';
import { openLocalRootKey } from './local-root-key.ts';
import { realmToken } from './realm-token.ts';
import { type RootKey } from './root-key.ts';

export type OpenRootKey = {
  config: RootKeyConfig;
  /** The session's name in the cloud's log, and the client at the realm. */
  service: string;
  /** For the realm, where the web identity token comes from there. */
  tls: TlsMaterial;
  logger: Pick<Logger, 'warn' | 'info'>;
};

/** The root key that a service's configuration names, usable: see `awaitRootKey`. */
export async function openRootKey({ config, service, tls, logger }: OpenRootKey): Promise<RootKey> {
  const previous = config.previousPath === undefined ? [] : [await openLocalRootKey({ path: config.previousPath })];
  const active = config.kind === 'local' ? await openLocalRootKey(config) : await openKms(config, service, tls);
  const rootKey = joinRootKeys(active, previous);
  try {
    await awaitRootKey(rootKey, logger);
    return rootKey;
  } catch (error) {
    rootKey.close();
    throw error;
  }
}

async function openKms(
  { keyArn, roleArn, tokenSource, endpoint }: Extract<RootKeyConfig, { kind: 'aws-kms' }>,
  service: string,
  tls: TlsMaterial,
): Promise<RootKey> {
  // The SDK is a large part of a process: it is loaded by those that use it.
  const { openAwsKmsRootKey, webIdentityCredentials } = await import('./aws.ts');
  const where = endpoint === undefined ? {} : { endpoint };
  const region = keyArn.split(':')[3] ?? '';
  if ('path' in tokenSource) {
    const token = async () => (await readFile(tokenSource.path, 'utf8')).trim();
    const credentials = webIdentityCredentials({ roleArn, sessionName: service, region, token, ...where });
    return openAwsKmsRootKey({ keyArn, credentials, ...where });
  }
  const agent = openAgent(tls);
  const token = () => realmToken(agent, { tokenUrl: tokenSource.url, clientId: service });
  const credentials = webIdentityCredentials({ roleArn, sessionName: service, region, token, ...where });
  const rootKey = openAwsKmsRootKey({ keyArn, credentials, ...where });
  return {
    ...rootKey,
    close() {
      rootKey.close();
      void agent.close();
    },
  };
}
