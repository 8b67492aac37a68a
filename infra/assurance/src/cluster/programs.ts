import { goProgram } from '@postern/testing';
import { execFile } from 'node:child_process';
import { existsSync } from 'node:fs';
import { mkdir, mkdtemp, readFile, rename, rm, writeFile } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';

const run = promisify(execFile);

export const KUBERNETES_VERSION = '1.36.3';
const KWOK_VERSION = '0.8.0';
const cacheDirectory = join(import.meta.dirname, '../../../../.cache');
const LARGE = { maxBuffer: 64 * 1024 * 1024 };

/** Each program and the package that it is made from. `etcd` is of the version that this API server is built with. */
const packages = {
  etcd: 'go.etcd.io/etcd/server/v3',
  'kube-apiserver': 'k8s.io/kubernetes/cmd/kube-apiserver',
  'kube-controller-manager': 'k8s.io/kubernetes/cmd/kube-controller-manager',
  'kube-scheduler': 'k8s.io/kubernetes/cmd/kube-scheduler',
  kubectl: 'k8s.io/kubernetes/cmd/kubectl',
  kwok: 'sigs.k8s.io/kwok/cmd/kwok',
};
export type Programs = Record<keyof typeof packages, string>;

/** Modules that publish the definitions of the kinds which the chart has of others, and the files of them. */
const definitions: Record<string, string[]> = {
  'github.com/cert-manager/cert-manager@v1.21.2': ['deploy/crds/cert-manager.io_certificates.yaml'],
  'github.com/kedacore/keda/v2@v2.21.0': ['config/crd/bases/keda.sh_scaledobjects.yaml'],
  'github.com/prometheus-operator/prometheus-operator@v0.85.0': [
    'example/prometheus-operator-crd/monitoring.coreos.com_podmonitors.yaml',
  ],
};

/**
 * The control plane of Kubernetes and what stands in for its nodes, built once from their Go modules into the checkout's cache
 * folder: some twenty minutes of one core the first time.
 * @throws Error without Go, or when a module cannot be had
 */
export async function kubernetesPrograms(): Promise<Programs> {
  const home = join(cacheDirectory, `kubernetes-${KUBERNETES_VERSION}`);
  const names = Object.keys(packages) as (keyof typeof packages)[];
  const programs = Object.fromEntries(names.map((name) => [name, join(home, name)])) as Programs;
  if (existsSync(home)) return programs;
  await mkdir(cacheDirectory, { recursive: true });
  const draft = await mkdtemp(`${home}-`);
  try {
    await writeFile(join(draft, 'go.mod'), await moduleAround());
    const version = 'k8s.io/component-base/version';
    const [major, minor] = KUBERNETES_VERSION.split('.');
    const said = { gitVersion: `v${KUBERNETES_VERSION}`, gitMajor: major, gitMinor: minor };
    const flags = ['-s', '-w', ...Object.entries(said).map(([name, value]) => `-X ${version}.${name}=${value}`)];
    const words = ['build', '-mod=mod', '-trimpath', '-o', `${draft}/`, '-ldflags', flags.join(' ')];
    const env = { ...process.env, CGO_ENABLED: '0' };
    await run(goProgram(), [...words, ...Object.values(packages)], { cwd: draft, env, ...LARGE });
    await rename(join(draft, 'server'), join(draft, 'etcd'));
    await rename(draft, home);
  } catch (cause) {
    await rm(draft, { recursive: true, force: true });
    if (!existsSync(home)) throw new Error('the control plane cannot be built: it needs Go and its modules', { cause });
  }
  return programs;
}

/** The files that define the chart's kinds of cert-manager, KEDA and the operator of Prometheus, as these publish them. */
export async function customDefinitions(): Promise<string[]> {
  const files = await Promise.all(
    Object.entries(definitions).map(async ([module, paths]) => {
      const { Dir } = await downloaded(module);
      return paths.map((path) => join(Dir, path));
    }),
  );
  return files.flat();
}

/** Kubernetes replaces its own parts by folders of its repository; each is published as well, one minor version for all. */
async function moduleAround(): Promise<string> {
  const { GoMod } = await downloaded(`k8s.io/kubernetes@v${KUBERNETES_VERSION}`);
  const text = await readFile(GoMod, 'utf8');
  const parts = text.matchAll(/^\s+(k8s\.io\/\S+) v0\.0\.0$/gm);
  return [
    'module postern.internal/kubernetes',
    // Also what lets Go leave alone what it need not read: of the version 0.0.0, which is nowhere.
    /^go .*$/m.exec(text)?.[0] ?? '',
    `require k8s.io/kubernetes v${KUBERNETES_VERSION}`,
    `require sigs.k8s.io/kwok v${KWOK_VERSION}`,
    ...[...parts].map(([, part]) => `require ${part} v0.${KUBERNETES_VERSION.slice(2)}`),
    '',
  ].join('\n');
}

async function downloaded(module: string): Promise<{ Dir: string; GoMod: string }> {
  const { stdout } = await run(goProgram(), ['mod', 'download', '-json', module], {
    cwd: dirname(cacheDirectory),
    ...LARGE,
  });
  return JSON.parse(stdout) as { Dir: string; GoMod: string };
}
