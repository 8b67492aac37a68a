import { place } from '@postern/helm';
import { execFile } from 'node:child_process';
import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { type ControlPlane } from './control-plane.ts';

/** How a command ended, and everything that it said on standard error. */
export type Ended = { ok: boolean; stdout: string; stderr: string };

/** Files of the chart's examples, then further values: as the matrix of infra/helm has them. */
export type Given = { files?: readonly string[]; values: object };

export type Release = {
  install(given: Given, ...words: string[]): Promise<Ended>;
  upgrade(given: Given, ...words: string[]): Promise<Ended>;
  rollback(revision: number): Promise<Ended>;
  uninstall(): Promise<Ended>;
  /** Every object of the chart under these values, hooks included, as YAML. */
  template(given: Given): Promise<string>;
  revisions(): Promise<number>;
};

const WITHIN = ['--wait', '--timeout', '4m'];

/** A release `postern` of the chart in a namespace, by Helm itself, as somebody who is an administrator of that namespace alone. */
export function openRelease(
  helm: string,
  { plane, namespace, folder }: { plane: ControlPlane; namespace: string; folder: string },
): Release {
  const home = join(folder, namespace);
  mkdirSync(home, { recursive: true });
  const env = {
    PATH: process.env['PATH'] ?? '',
    HOME: home,
    KUBECONFIG: plane.deployer,
    HELM_CACHE_HOME: home,
    HELM_CONFIG_HOME: home,
    HELM_DATA_HOME: home,
  };
  let written = 0;
  const valuesOf = ({ files = ['production.yaml'], values }: Given): string[] => {
    const own = join(home, `values-${(written += 1)}.json`);
    writeFileSync(own, JSON.stringify(values));
    return [...files.map((file) => place(`examples/${file}`)), own].flatMap((file) => ['--values', file]);
  };
  const call = (...words: string[]) => ended(helm, [...words, '--namespace', namespace], env);
  const chart = ['postern', place('postern')];
  return {
    install: (given, ...words) => call('install', ...chart, ...valuesOf(given), ...WITHIN, ...words),
    upgrade: (given, ...words) => call('upgrade', ...chart, ...valuesOf(given), ...WITHIN, ...words),
    rollback: (revision) => call('rollback', 'postern', String(revision), ...WITHIN),
    uninstall: () => call('uninstall', 'postern', ...WITHIN),
    template: async (given) => (await call('template', ...chart, ...valuesOf(given), '--validate')).stdout,
    async revisions() {
      const { ok, stdout } = await call('history', 'postern', '--output', 'json');
      return ok ? (JSON.parse(stdout) as unknown[]).length : 0;
    },
  };
}

/** Runs a program to its end. */
export function ended(program: string, words: string[], env: NodeJS.ProcessEnv, input?: string): Promise<Ended> {
  return new Promise((resolve) => {
    const child = execFile(program, words, { env, maxBuffer: 64 * 1024 * 1024 }, (error, stdout, stderr) =>
      resolve({ ok: error === null, stdout, stderr }),
    );
    child.stdin?.end(input);
  });
}
