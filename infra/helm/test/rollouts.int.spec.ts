import { beforeAll, expect, test } from '@jest/globals';
import { describeWith, realPart } from '@postern/testing';
import { helmProgram, render, type KubernetesObject } from '../src/helm.ts';
import { matrix, policyUnder } from '../src/matrix.ts';

const program = await realPart('Helm', helmProgram);

describeWith(program, 'how the chart replaces pods', (helmPath) => {
  let objects: KubernetesObject[];
  beforeAll(async () => {
    const [, files, values] = matrix[0]!;
    objects = await render(helmPath, files, values);
  });

  test('a Deployment selects the same pods whether its halves run together or apart: that may never change', async () => {
    const [, files, values] = matrix[0]!;
    const selector = (all: KubernetesObject[]) =>
      all.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'key-proxy')!['spec'] as object;
    const together = await render(helmPath, files, { ...values, services: { 'key-proxy': { together: true } } });
    const [before, after] = [selector(objects), selector(together)] as { selector: object }[];
    expect(after!.selector).toEqual(before!.selector);
  });

  test('a changed policy is a new rollout of token-exchange', async () => {
    const rollout = (all: KubernetesObject[]) => {
      const found = all.find(({ kind, metadata }) => kind === 'Deployment' && metadata.name === 'token-exchange')!;
      return (found['spec'] as { template: { metadata: { annotations: Record<string, string> } } }).template.metadata
        .annotations;
    };
    const [, files, values] = matrix[0]!;
    const changed = await render(helmPath, files, {
      ...values,
      policy: { ...policyUnder('postern.example.com'), version: 'next' },
    });
    expect(rollout(changed)['postern.dev/configuration']).not.toBe(rollout(objects)['postern.dev/configuration']);
  });

  test('one replica with a claim leaves it before the next begins: of more nodes than one a claim may let in one; all others go one by one', async () => {
    const [, files, values] = matrix[0]!;
    const one = { replicas: 1, autoscaling: { enabled: false } };
    const all = await render(helmPath, files, {
      ...values,
      services: {
        'audit-sink': { together: true, api: one, data: { claimName: 'audit-log' } },
        'crypto-store': { together: true, api: { ...one, replicas: 2 }, data: { claimName: 'crypto-store' } },
        'key-proxy': { together: true, api: one },
      },
    });
    const strategies = all
      .filter(({ kind }) => kind === 'Deployment')
      .map(({ metadata, spec }) => [metadata.name, (spec as { strategy: { type: string } }).strategy.type]);
    const recreated = strategies.filter(([, type]) => type !== 'RollingUpdate');
    expect(recreated).toEqual([['audit-sink', 'Recreate']]);
    expect(strategies.length).toBeGreaterThan(5);
  });
});
