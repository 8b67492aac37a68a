import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import type { MtlsAgent } from '@postern/mtls';
import type { RootKeyConfig } from '@postern/runtime';
import { folderPlace } from './folder.ts';
import type { Place } from './place.ts';

/** Where to publish, as configuration names it, and who this workload is to the cloud. */
export type PublishTo = {
  url: string;
  aws?: Pick<Extract<RootKeyConfig, { kind: 'aws-kms' }>, 'roleArn' | 'tokenSource' | 'endpoint'>;
};

/**
 * @param service the session's name in the cloud's log, and the client at the realm.
 * @param peers the way to the realm, where the web identity token comes from there.
 */
export async function openPlace({ url, aws }: PublishTo, service: string, peers: MtlsAgent): Promise<Place> {
  const { protocol, hostname, pathname, searchParams } = new URL(url);
  if (protocol === 'file:') return folderPlace(fileURLToPath(url));
  if (!aws) throw new Error('a bucket needs a role');
  // The SDK is a large part of a process: it is loaded by those that use it.
  const [{ bucketPlace }, { realmToken }, { webIdentityCredentials }] = await Promise.all([
    import('./bucket.ts'),
    import('@postern/branch-keys'),
    import('@postern/branch-keys/aws'),
  ]);
  const region = searchParams.get('region') ?? '';
  const endpoint = aws.endpoint === undefined ? {} : { endpoint: aws.endpoint };
  const credentials = webIdentityCredentials({
    roleArn: aws.roleArn,
    sessionName: service,
    region,
    token: async () =>
      'path' in aws.tokenSource
        ? (await readFile(aws.tokenSource.path, 'utf8')).trim()
        : realmToken(peers, { tokenUrl: aws.tokenSource.url, clientId: service }),
    ...endpoint,
  });
  const prefix = pathname.replaceAll(/^\/|\/$/g, '');
  return bucketPlace({ bucket: hostname, prefix, region, credentials, ...endpoint });
}
