import { matrix } from '@postern/helm';
import { type Seen, type Thing } from './api.ts';
import { type Cluster } from './cluster.ts';
import { everythingIn, faultsIn } from './inspect.ts';
import { prepareNamespace } from './namespace.ts';
import { openRelease, type Ended } from './release.ts';
import { NEVER_READY } from './stages.ts';
import { until } from './until.ts';

const NAMESPACE = 'upgraded';
const AT_LEAST = 2;

/** One release that is changed again and again, each change watched state by state. */
export async function upgrades({ plane, helm, folder, must }: Cluster): Promise<void> {
  const { api } = plane;
  const [, files, good] = matrix[0]!;
  const given = (more: object = {}) => ({ files, values: { ...good, ...more } });
  await prepareNamespace(api, NAMESPACE, { withCertificates: false });
  const release = openRelease(helm, { plane, namespace: NAMESPACE, folder });
  const deployments = `/apis/apps/v1/namespaces/${NAMESPACE}/deployments`;
  const jobs = `/apis/batch/v1/namespaces/${NAMESPACE}/jobs`;

  const watched = async (what: string, act: () => Promise<Ended>, { succeeds = true, least = AT_LEAST } = {}) => {
    const [pods, work] = [await api.watch(deployments), await api.watch(jobs)];
    const { ok, stderr } = await act();
    await Promise.all([pods.stop(), work.stop()]);
    must(ok === succeeds, `${what}: helm ended ${ok ? 'well' : `with ${stderr}`}`);
    const short = pods.seen
      .filter((each, at, all) => isShort(each, all.slice(0, at), least))
      .map(({ object }) => object.metadata.name);
    must(short.length === 0, `${what}: ${[...new Set(short)].join(', ')} fell below ${least} available`);
    return { deployments: pods.seen, jobs: work.seen };
  };
  const settle = () => until(async () => (await api.list(deployments)).every(isWhole));
  const images = async () => (await api.list(deployments)).map(imageOf).sort().join('\n');

  const installed = await api.watch(jobs);
  must((await release.install(given())).ok, 'helm install failed');
  await installed.stop();
  must(endedWell(installed.seen).size === 5, 'a first install runs five migrations');
  must(await settle(), 'after the install not every Deployment has its replicas');
  const first = await images();

  const next = await watched('a new tag', () => release.upgrade(given({ image: tag('next') })));
  must(await settle(), 'after the upgrade not every Deployment has its replicas');
  must(
    (await api.list(deployments)).every((each) => imageOf(each).endsWith(':next')),
    'a Deployment kept the old image',
  );
  must(endedWell(next.jobs).size === 5, 'an upgrade runs five migrations');
  must(
    lastMigration(next.jobs) < firstChange(next.deployments),
    'a Deployment changed before the last migration had ended',
  );

  const together = { 'key-proxy': { together: true } };
  await watched('both halves together', () => release.upgrade(given({ services: together })));
  await watched('both halves apart again', () => release.upgrade(given()));
  must(await settle(), 'after both halves were apart again not every Deployment has its replicas');

  await watched('without auth-manager', () =>
    release.upgrade(given({ services: { 'auth-manager': { enabled: false } } })),
  );
  const left = async () => (await everythingIn(api, NAMESPACE)).filter((each) => / (postern-)?auth-manager/.test(each));
  await until(async () => (await left()).length === 0, 30_000);
  must((await left()).length === 0, `of auth-manager is left: ${(await left()).join(', ')}`);
  await watched('with auth-manager again', () => release.upgrade(given()));
  must(await settle(), 'auth-manager did not come back');

  const before = await versions(api.list(deployments));
  const failing = given({ image: tag('fails-to-migrate'), migrations: { deadlineSeconds: 30 } });
  await watched('a migration that fails', () => release.upgrade(failing), { succeeds: false });
  must((await versions(api.list(deployments))) === before, 'a Deployment changed though a migration had failed');
  await watched('after a migration that failed', () => release.upgrade(given()));

  const stuck = given({ image: tag(NEVER_READY) });
  await watched('a release that is never ready', () => release.upgrade(stuck, '--timeout', '40s', '--atomic'), {
    succeeds: false,
  });
  must(await settle(), 'what was never ready was not taken back');
  must((await images()) === first, 'after a release that was never ready another image runs');

  const back = await watched('helm rollback', () => release.rollback(2));
  must(
    (await api.list(deployments)).every((each) => imageOf(each).endsWith(':next')),
    'a rollback has another image',
  );
  must(endedWell(back.jobs).size === 0, 'a rollback ran migrations');

  const fixed = { 'crypto-store': { api: { replicas: 3, autoscaling: { enabled: false } } } };
  await watched('autoscaling off', () => release.upgrade(given({ services: fixed })));
  // As the chart's README says: Kubernetes takes one replica for a number that is taken away, until the autoscaler looks.
  await watched('autoscaling on again', () => release.upgrade(given()), { least: 1 });
  must(await settle(), 'autoscaling did not come back');
  const faults = await faultsIn(api, NAMESPACE);
  must(faults.length === 0, faults.join('; '));
  await release.uninstall();
}

const tag = (name: string) => ({ repository: 'registry.example.com/postern', tag: name });

/** Fewer are available of a Deployment that had as many: not of one that is new, or that is going. */
function isShort({ type, object }: Seen, before: readonly Seen[], least: number): boolean {
  if (type !== 'MODIFIED' || object.metadata.deletionTimestamp !== undefined) return false;
  const earlier = before.filter((each) => each.object.metadata.name === object.metadata.name);
  const added = earlier.findLastIndex((each) => each.type === 'ADDED');
  const hadThem = added === -1 || earlier.slice(added).some((each) => available(each.object) >= least);
  return hadThem && available(object) < least;
}

const available = ({ status }: Thing): number => Number(status?.['availableReplicas'] ?? 0);
const isWhole = ({ status }: Thing): boolean =>
  Number(status?.['updatedReplicas']) >= AT_LEAST &&
  Number(status?.['unavailableReplicas'] ?? 0) === 0 &&
  available({ status } as Thing) >= AT_LEAST;
const imageOf = ({ spec }: Thing): string =>
  (spec as { template: { spec: { containers: { image: string }[] } } }).template.spec.containers[0]!.image;

const versions = async (all: Promise<Thing[]>): Promise<string> =>
  (await all)
    .map(({ metadata }) => `${metadata.name} ${metadata.generation}`)
    .sort()
    .join();

const hasEnded = ({ object }: Seen): boolean => Number(object.status?.['succeeded']) > 0;
const endedWell = (seen: readonly Seen[]): Set<string> =>
  new Set(seen.filter(hasEnded).map(({ object }) => object.metadata.name));

// Versions of resources are those of one store: the greater is the later.
const lastMigration = (seen: readonly Seen[]): number =>
  Math.max(
    ...[...endedWell(seen)].map((name) =>
      versionOf(seen.find((each) => hasEnded(each) && each.object.metadata.name === name)!),
    ),
  );
const firstChange = (seen: readonly Seen[]): number =>
  Math.min(
    ...seen
      .filter(
        ({ object }, at) => seen.slice(0, at).some((each) => sameOlder(each.object, object)) || isNewImage(object),
      )
      .map(versionOf),
  );
const sameOlder = (older: Thing, newer: Thing): boolean =>
  older.metadata.name === newer.metadata.name && older.metadata.generation !== newer.metadata.generation;
const isNewImage = (object: Thing): boolean => imageOf(object).endsWith(':next');
const versionOf = ({ object }: Seen): number => Number(object.metadata.resourceVersion);
