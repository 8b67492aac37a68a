import { freePort, startLeashed, type Leashed } from '@postern/testing';
import { generateKeyPairSync, randomBytes } from 'node:crypto';
import { existsSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { request } from 'undici';
import { openApi, type Api } from './api.ts';
import { type Programs } from './programs.ts';
import { stages } from './stages.ts';
import { until } from './until.ts';

export type ControlPlane = {
  /** As a member of `system:masters`. */
  api: Api;
  /** Of the same. */
  kubeconfig: string;
  /** Of somebody who may do nothing but what a binding gives to the user `deployer`. */
  deployer: string;
  close(): Promise<void>;
};

const users = {
  admin: ['admin', 'system:masters'],
  deployer: ['deployer', ''],
  'controller-manager': ['system:kube-controller-manager', ''],
  scheduler: ['system:kube-scheduler', ''],
} as const;
type User = keyof typeof users;

/**
 * etcd, the API server with its usual admission and RBAC, the controllers, the scheduler, and kwok in the place of kubelets, all
 * on 127.0.0.1. A pod "runs" when kwok says so: nothing is executed, mounted or routed.
 */
export async function startControlPlane(programs: Programs, folder: string): Promise<ControlPlane> {
  const tokens = Object.fromEntries(
    Object.keys(users).map((user) => [user, randomBytes(24).toString('hex')]),
  ) as Record<User, string>;
  const file = (name: string, text: string) => {
    writeFileSync(join(folder, name), text, { mode: 0o600 });
    return join(folder, name);
  };
  const started: Leashed[] = [];
  const start = (name: keyof Programs, ...words: string[]) =>
    void started.push(
      startLeashed([programs[name], ...words], { logFile: join(folder, `${name}.log`), stopSignal: 'TERM' }),
    );
  const close = async () => {
    for (const each of started.reverse()) await each.stop();
  };
  try {
    const etcd = await startEtcd(start, folder);
    const port = await freePort();
    const origin = `https://127.0.0.1:${port}`;
    const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
    const signing = file('accounts.key', privateKey.export({ type: 'pkcs8', format: 'pem' }) as string);
    const verifying = file('accounts.pub', publicKey.export({ type: 'spki', format: 'pem' }) as string);
    const lines = Object.entries(users).map(
      ([user, [name, group]]) => `${tokens[user as User]},${name},${user},"${group}"`,
    );
    start(
      'kube-apiserver',
      `--etcd-servers=${etcd}`,
      '--bind-address=127.0.0.1',
      '--advertise-address=127.0.0.1',
      `--secure-port=${port}`,
      `--cert-dir=${join(folder, 'certificates')}`,
      '--service-cluster-ip-range=10.96.0.0/16',
      '--authorization-mode=Node,RBAC',
      '--anonymous-auth=false',
      `--token-auth-file=${file('tokens.csv', lines.join('\n') + '\n')}`,
      '--service-account-issuer=https://kubernetes.default.svc',
      `--service-account-signing-key-file=${signing}`,
      `--service-account-key-file=${verifying}`,
      '--endpoint-reconciler-type=none',
    );
    const certificate = join(folder, 'certificates/apiserver.crt');
    if (!(await until(() => existsSync(certificate)))) throw new Error(`the API server does not start: see ${folder}`);
    const ca = readFileSync(certificate, 'utf8');
    const kubeconfigOf = (user: User) =>
      file(`${user}.kubeconfig`, JSON.stringify(kubeconfig(origin, certificate, tokens[user])));
    const api = openApi(origin, { ca, token: tokens.admin });
    const ready = () =>
      api.get('/api/v1/namespaces/kube-system').then(
        () => true,
        () => false,
      );
    if (!(await until(ready))) throw new Error(`the API server is not ready: see ${folder}`);
    start(
      'kube-controller-manager',
      `--kubeconfig=${kubeconfigOf('controller-manager')}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${await freePort()}`,
      `--service-account-private-key-file=${signing}`,
      `--root-ca-file=${certificate}`,
      '--use-service-account-credentials',
      '--leader-elect=false',
      // Where its defaults only make one wait.
      '--horizontal-pod-autoscaler-sync-period=2s',
    );
    start(
      'kube-scheduler',
      `--kubeconfig=${kubeconfigOf('scheduler')}`,
      '--bind-address=127.0.0.1',
      `--secure-port=${await freePort()}`,
      '--leader-elect=false',
    );
    start(
      'kwok',
      `--kubeconfig=${kubeconfigOf('admin')}`,
      `--config=${file('stages.yaml', stages)}`,
      '--manage-all-nodes',
      '--node-lease-duration-seconds=40',
      `--server-address=127.0.0.1:${await freePort()}`,
    );
    return {
      api,
      kubeconfig: join(folder, 'admin.kubeconfig'),
      deployer: kubeconfigOf('deployer'),
      async close() {
        await api.close();
        await close();
      },
    };
  } catch (error) {
    await close();
    throw error;
  }
}

type Start = (name: keyof Programs, ...words: string[]) => void;

async function startEtcd(start: Start, folder: string): Promise<string> {
  const [clients, peers] = [`http://127.0.0.1:${await freePort()}`, `http://127.0.0.1:${await freePort()}`];
  start(
    'etcd',
    `--data-dir=${join(folder, 'etcd')}`,
    `--listen-client-urls=${clients}`,
    `--advertise-client-urls=${clients}`,
    `--listen-peer-urls=${peers}`,
    `--initial-advertise-peer-urls=${peers}`,
    `--initial-cluster=default=${peers}`,
    '--unsafe-no-fsync',
  );
  const healthy = async () => {
    const answer = await request(`${clients}/health`).catch(() => undefined);
    await answer?.body.dump();
    return answer?.statusCode === 200;
  };
  if (!(await until(healthy))) throw new Error(`etcd does not start: see ${folder}`);
  return clients;
}

const kubeconfig = (server: string, authority: string, token: string): object => ({
  apiVersion: 'v1',
  kind: 'Config',
  clusters: [{ name: 'cluster', cluster: { server, 'certificate-authority': authority } }],
  users: [{ name: 'user', user: { token } }],
  contexts: [{ name: 'context', context: { cluster: 'cluster', user: 'user' } }],
  'current-context': 'context',
});
