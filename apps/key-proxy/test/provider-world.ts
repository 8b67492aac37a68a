import { randomUUID } from 'node:crypto';
import { developmentCa } from '@postern/testing';
import { startAzure } from '@postern/testing/azure';
import { startGoogle } from '@postern/testing/google';
import { startSecretsManager } from '@postern/testing/secrets-manager';
import { openWorld } from './world.ts';

export type ProviderWorld = Awaited<ReturnType<typeof openProviderWorld>>;

export const everything = ['secrets:read', 'secrets:write', 'secrets:configure'];
export const newTenant = () => `kp_${randomUUID().replaceAll('-', '')}`;

/** key-proxy and the clouds' emulators and stand-ins, which tenants configure themselves. */
export async function openProviderWorld() {
  const { paths } = await developmentCa().issue('front');
  const [aws, google, azure] = await Promise.all([startSecretsManager(), startGoogle(), startAzure()]);
  const world = await openWorld({
    env: {
      POSTERN_PROVIDER_HOSTS: [aws, google, azure].map(({ port }) => `127.0.0.1:${port}`).join(','),
      POSTERN_PROVIDER_CA_PATH: paths.ca,
    },
    endpoints: {
      aws: aws.url,
      azure: { authorityHost: azure.url },
      google: { host: '127.0.0.1', port: google.port, tokenEndpoint: google.tokenEndpoint },
    },
  });
  const job = await world.caller('job');
  const send = (method: 'GET' | 'POST' | 'PUT' | 'DELETE', path: string, token: string, body?: object) =>
    job.send(method, `${world.url}${path}`, { token, body });
  return {
    world,
    job,
    aws,
    google,
    azure,
    send,
    person: (tenant: string, sub = 'alice', roles: string[] = ['admin']) =>
      world.token(job.thumbprint, everything, { tenant, sub, roles }),
    awsKeys: (more: object = {}) => ({
      region: aws.region,
      access_key_id: aws.accessKeyId,
      secret_access_key: aws.secretAccessKey,
      ...more,
    }),
    configure: (token: string, name: string, kind: string, credentials: object) =>
      send('PUT', `/v1/providers/${name}`, token, { kind, credentials }),
    async close() {
      await Promise.all([world.close(), aws.close(), google.close(), azure.close()]);
    },
  };
}
