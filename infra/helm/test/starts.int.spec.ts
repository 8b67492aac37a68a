import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { beforeAll, describe, expect, test } from '@jest/globals';
import { describeWith, realPart } from '@postern/testing';
import { ConfigurationError, type Settings } from '@postern/runtime';
import { helmProgram, render, type KubernetesObject } from '../src/helm.ts';
import { matrix } from '../src/matrix.ts';

const root = join(import.meta.dirname, '../../..');
const services = ['token-exchange', 'auth-manager', 'crypto-store', 'key-proxy', 'audit-sink'] as const;
const program = await realPart('Helm', helmProgram);

/** What Node and the SDK of OpenTelemetry read by themselves. */
const OF_OTHERS = /^(NODE_OPTIONS|OTEL_)/;
/** The Node of the tests has no FIPS provider: that one refusal is what is left. */
const WITHOUT_PROVIDER = 'POSTERN_FIPS: OpenSSL does not run in FIPS mode';

type Pod = { spec: { containers: { env: { name: string; value?: string }[]; startupProbe: Probe }[] } };
type Probe = { periodSeconds: number; failureThreshold: number };

describeWith(program, 'what the chart starts', (helmPath) => {
  describe.each(matrix)('%s', (_name, files, values) => {
    let objects: KubernetesObject[];
    beforeAll(async () => {
      objects = await render(helmPath, files, values);
    });
    const found = (kind: string, name: string) =>
      objects.find((object) => object.kind === kind && object.metadata.name === name);
    const settingsOf = (service: string) =>
      found('ConfigMap', `${service}-settings`)?.['data'] as Record<string, string> | undefined;

    test.each(services)('%s starts on the settings and documents that it is given', async (service) => {
      const settings = settingsOf(service);
      if (settings === undefined) return expect(found('Deployment', service)).toBeUndefined();
      const folder = mkdtempSync(join(tmpdir(), 'postern-chart-'));
      try {
        const documents = found('ConfigMap', `${service}-documents`)!['data'] as Record<string, string>;
        for (const [name, text] of Object.entries(documents)) writeFileSync(join(folder, name), text);
        const given = Object.fromEntries(
          Object.entries(settings).map(([name, value]) => [name, value.replace('/run/postern/documents', folder)]),
        );
        writeFileSync(join(folder, 'password'), 'of-redis');
        for (const name of Object.keys(given).filter((key) => key.endsWith('_PASSWORD_FILE')))
          given[name] = join(folder, 'password');
        const config = (await import(join(root, 'apps', service, 'src/config.ts'))) as {
          settings: Settings;
          readConfig(env: NodeJS.ProcessEnv): { base: { fips: boolean } };
        };
        const unknown = Object.keys(given).filter(
          (name) =>
            !OF_OTHERS.test(name) && !(name.replace(/_FILE$/, '') in config.settings || name in config.settings),
        );
        expect(unknown).toEqual([]);
        expect(mistakesOf(() => config.readConfig({ ...given, POSTERN_ROLE: 'api' }))).toEqual(
          given['NODE_OPTIONS']?.includes('--force-fips') ? [WITHOUT_PROVIDER] : [],
        );
      } finally {
        rmSync(folder, { recursive: true, force: true });
      }
    });

    test('a service believes no issuer of ours that is not there, or whose revocations it does not follow (R1, R14)', () => {
      for (const service of services.filter((name) => settingsOf(name) !== undefined)) {
        const { 'trust.json': text = '' } = found('ConfigMap', `${service}-documents`)!['data'] as Record<
          string,
          string
        >;
        const { issuers, revocations } = JSON.parse(text) as Record<'issuers' | 'revocations', { issuer: string }[]>;
        const provider = settingsOf('token-exchange')!['POSTERN_PROVIDER_ISSUER'];
        const ours = services.map((name) => settingsOf(name)?.['POSTERN_PUBLIC_URL']);
        const believed = issuers.map(({ issuer }) => issuer).filter((issuer) => issuer !== provider);
        expect(believed.filter((issuer) => !ours.includes(issuer))).toEqual([]);
        expect(revocations.map(({ issuer }) => issuer)).toEqual(expect.arrayContaining(believed));
      }
    });

    test('the identity provider is known by the authority that the values name', () => {
      const { authority } = {
        authority: 'services',
        ...('identityProvider' in values ? (values.identityProvider as object) : {}),
      };
      const { 'trust.json': text = '' } = found('ConfigMap', 'token-exchange-documents')!['data'] as Record<
        string,
        string
      >;
      const { issuers } = JSON.parse(text) as { issuers: { issuer: string; authority?: string }[] };
      const provider = settingsOf('token-exchange')!['POSTERN_PROVIDER_ISSUER'];
      expect(issuers.find(({ issuer }) => issuer === provider)?.authority).toBe(authority);
    });

    test('Node is in FIPS mode in fedramp-high, its migrations too, and nowhere that did not ask for it', () => {
      const high = 'profile' in values && values.profile === 'fedramp-high';
      const jobs = objects
        .filter(({ kind }) => kind === 'Job')
        .map(({ spec }) => (spec as { template: Pod }).template.spec.containers[0]!.env)
        .map((env) => env.find(({ name }) => name === 'NODE_OPTIONS')?.value);
      const options = services
        .map(settingsOf)
        .filter((map) => map !== undefined)
        .map(({ NODE_OPTIONS }) => NODE_OPTIONS);
      for (const each of [...jobs, ...options])
        expect([high, each?.includes('--force-fips') ?? false]).toEqual([high, high]);
    });

    test('a start that waits for its root key is not ended for that, which would only make it later', () => {
      const probes = objects
        .filter(({ kind }) => kind === 'Deployment')
        .map(({ spec }) => (spec as { template: Pod }).template.spec.containers[0]!.startupProbe);
      for (const { periodSeconds, failureThreshold } of probes)
        expect(periodSeconds * failureThreshold).toBeGreaterThanOrEqual(3_600);
    });
  });
});

function mistakesOf(read: () => unknown): readonly string[] {
  try {
    read();
    return [];
  } catch (error) {
    if (error instanceof ConfigurationError) return error.mistakes;
    throw error;
  }
}
