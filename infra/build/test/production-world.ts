import { execFileSync } from 'node:child_process';
import { chmodSync, copyFileSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { pathToFileURL } from 'node:url';
import { createLocalRootKeyFile } from '@postern/branch-keys';
import {
  DEVELOPMENT_TRUST_DOMAIN,
  postgresForTests,
  redisForTests,
  spiffeIdOf,
  testIssuer,
  WORKLOADS,
  type Leaf,
} from '@postern/testing';
import { Agent, type Dispatcher } from 'undici';
import { IMAGE_USER } from './production-trees.ts';

export type World = {
  /** A fresh database, Redis users and certificates of a service, as its environment names them. */
  environmentOf(service: string): Promise<Record<string, string>>;
  /** A workload with a client certificate. */
  caller: Dispatcher;
  close(): Promise<void>;
};

/** The real parts that the services' production trees stand on; what they read lies in `folder`, owned by the image's user. */
export async function openWorld(folder: string): Promise<World> {
  const [postgres, redis, issuer] = await Promise.all([postgresForTests(), redisForTests(), testIssuer()]);
  const { cert, key, ca } = await postgres.authority.issue('job');
  const caller = new Agent({ connect: { cert, key, ca, servername: 'localhost' } });
  const drops: (() => Promise<void>)[] = [];
  const workloads = WORKLOADS.map((name) => ({ name, spiffeId: spiffeIdOf(name) }));
  const trust = { trustDomain: DEVELOPMENT_TRUST_DOMAIN, workloads, issuers: [issuer.entry] };

  return {
    caller,
    async environmentOf(service) {
      const database = await postgres.createDatabase({ service });
      drops.push(database.drop);
      const [leaf, cache, bus] = await Promise.all([
        postgres.authority.issue(service),
        redis.cache.user(service),
        redis.bus.user(service),
      ]);
      const files = join(folder, service);
      mkdirSync(join(files, 'published'), { recursive: true });
      place(leaf.paths, join(files, 'tls'));
      place(bus.paths, join(files, 'bus-tls'));
      writeFileSync(join(files, 'trust.json'), JSON.stringify(trust));
      copyFileSync('infra/dev/policy.json', join(files, 'policy.json'));
      await createLocalRootKeyFile(join(files, 'root-key.json'));
      if (IMAGE_USER.uid !== undefined) execFileSync('chown', ['-R', `${IMAGE_USER.uid}:${IMAGE_USER.gid}`, files]);
      return {
        NODE_ENV: 'production',
        POSTERN_ENVIRONMENT: 'development',
        POSTERN_API_PORT: '0',
        POSTERN_PUBLIC_PORT: '0',
        POSTERN_MANAGEMENT_PORT: '0',
        POSTERN_PUBLIC_URL: `https://${service}.${DEVELOPMENT_TRUST_DOMAIN}`,
        ...pathsOf('POSTERN_TLS', join(files, 'tls')),
        ...pathsOf('POSTERN_BUS_TLS', join(files, 'bus-tls')),
        POSTERN_TRUST_PATH: join(files, 'trust.json'),
        POSTERN_POLICY_PATH: join(files, 'policy.json'),
        POSTERN_ROOT_KEY: 'local',
        POSTERN_ROOT_KEY_PATH: join(files, 'root-key.json'),
        POSTERN_POSTGRES_URL: database.url,
        POSTERN_POSTGRES_OWNER_URL: database.ownerUrl,
        POSTERN_CACHE_URL: cache.url,
        POSTERN_CACHE_PASSWORD: cache.password,
        POSTERN_BUS_URL: bus.url,
        POSTERN_BUS_PASSWORD: bus.password,
        POSTERN_OIDC_ISSUER: issuer.entry.issuer,
        ...(service === 'audit-sink' && { POSTERN_AUDIT_PUBLISH_TO: pathToFileURL(join(files, 'published')).href }),
        POSTERN_AUDIT_SINK_URL: NOBODY,
        POSTERN_TOKEN_EXCHANGE_URL: NOBODY,
        POSTERN_CRYPTO_STORE_URL: NOBODY,
      };
    },
    async close() {
      await caller.close();
      for (const drop of drops) await drop();
      await Promise.all([issuer.close(), postgres.close(), redis.close()]);
    },
  };
}

/** A peer that is down: no service needs another one to start or to be ready. */
const NOBODY = 'https://127.0.0.1:1';

function place(paths: Leaf['paths'], folder: string): void {
  mkdirSync(folder);
  for (const [kind, path] of Object.entries(paths)) copyFileSync(path, join(folder, kind));
  chmodSync(folder, 0o700);
}

const pathsOf = (prefix: string, folder: string): Record<string, string> => ({
  [`${prefix}_CERT_PATH`]: join(folder, 'cert'),
  [`${prefix}_KEY_PATH`]: join(folder, 'key'),
  [`${prefix}_CA_PATH`]: join(folder, 'ca'),
});
