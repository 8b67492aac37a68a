import { matrix, refused } from '@postern/helm';
import { type Cluster } from './cluster.ts';
import { everythingIn } from './inspect.ts';
import { prepareNamespace } from './namespace.ts';
import { openRelease } from './release.ts';

/** Wrong values, for a first release and over a running one: nothing is applied, not even Helm's own record. */
export async function refusals({ plane, helm, folder, must }: Cluster): Promise<void> {
  const { api } = plane;
  const [, files, good] = matrix[0]!;
  await prepareNamespace(api, 'refused', { withCertificates: false });
  await prepareNamespace(api, 'running', { withCertificates: false });
  const release = openRelease(helm, { plane, namespace: 'refused', folder });
  const running = openRelease(helm, { plane, namespace: 'running', folder });
  // Which says nothing of its privilege, and that is too much here.
  const pod = { metadata: { name: 'any' }, spec: { containers: [{ name: 'any', image: 'any' }] } };
  const letIn = await api.create('/api/v1/namespaces/refused/pods?dryRun=All', pod).catch(String);
  must(String(letIn).includes('violates PodSecurity'), `"restricted" is not enforced here: ${letIn}`);
  must((await running.install({ files, values: good })).ok, 'the good values were not taken');
  const nothing = await everythingIn(api, 'refused');
  const states = async () => (await everythingIn(api, 'running')).join();
  const whole = await states();
  for (const [what, values, names] of refused) {
    const given = { files, values: { ...good, ...values } };
    for (const [how, attempt] of [
      ['install', await release.install(given)],
      ['upgrade', await running.upgrade(given)],
    ] as const) {
      must(!attempt.ok, `helm ${how} took ${what}`);
      must(names.test(attempt.stderr), `helm ${how} with ${what} does not name it: ${attempt.stderr}`);
    }
  }
  must((await everythingIn(api, 'refused')).join() === nothing.join(), 'something was applied of what was refused');
  must((await states()) === whole && (await running.revisions()) === 1, 'a refused upgrade changed something');
  await running.uninstall();
}
