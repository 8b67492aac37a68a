import { readFile } from 'node:fs/promises';
import { fileURLToPath } from 'node:url';
import { folderPlace } from './folder.ts';
import type { Place } from './place.ts';

/** Where to publish, as configuration names it, and who this workload is to the cloud. */
export type PublishTo = {
  url: string;
  aws?: { roleArn: string; tokenPath: string; endpoint?: string | undefined };
};

/** @param service the session's name in the cloud's log. */
export async function openPlace({ url, aws }: PublishTo, service: string): Promise<Place> {
  const { protocol, hostname, pathname, searchParams } = new URL(url);
  if (protocol === 'file:') return folderPlace(fileURLToPath(url));
  if (!aws) throw new Error('a bucket needs a role');
  // The SDK is a large part of a process: it is loaded by those that use it.
  const [{ bucketPlace }, { webIdentityCredentials }] = await Promise.all([
    import('./bucket.ts'),
    import('@postern/branch-keys'),
  ]);
  const region = searchParams.get('region') ?? '';
  const endpoint = aws.endpoint === undefined ? {} : { endpoint: aws.endpoint };
  const credentials = webIdentityCredentials({
    roleArn: aws.roleArn,
    sessionName: service,
    region,
    token: async () => (await readFile(aws.tokenPath, 'utf8')).trim(),
    ...endpoint,
  });
  const prefix = pathname.replaceAll(/^\/|\/$/g, '');
  return bucketPlace({ bucket: hostname, prefix, region, credentials, ...endpoint });
}
