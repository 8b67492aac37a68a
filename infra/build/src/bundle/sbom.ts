import { type PrunedLock } from './locked-dependencies.ts';
import { type Bundled } from './third-party.ts';

type Root = { name: string; version: string; license: string };
type Component = { name: string; version: string; integrity?: string; license?: string; bundled: boolean };

/**
 * The bill of materials of a production tree, CycloneDX 1.6: what lies in its bundles and what is installed beside them, each with
 * its package URL and the hash by which npm verified it. No time and no serial number: one commit gives one document.
 */
export function sbomOf(root: Root, inside: readonly Bundled[], lock: PrunedLock, integrityOf: Integrity): object {
  const installed = Object.entries(lock.packages)
    .filter(([path]) => path !== '')
    .map(([path, entry]): [string, Component] => [
      path,
      { ...(entry as Omit<Component, 'name' | 'bundled'>), name: nameIn(path), bundled: false },
    ]);
  const bundled = inside.map(({ path, name, version, license }): [string, Component] => [
    path,
    { name, version, license, integrity: integrityOf(path), bundled: true },
  ]);
  const components = [...new Map([...installed, ...bundled])]
    .sort(([left], [right]) => (left < right ? -1 : 1))
    .map(([path, component]) => componentOf(path, component));
  return {
    bomFormat: 'CycloneDX',
    specVersion: '1.6',
    version: 1,
    metadata: {
      component: { type: 'application', 'bom-ref': 'root', ...named(root), licenses: licensed(root.license) },
    },
    components,
    dependencies: [{ ref: 'root', dependsOn: components.map((component) => component['bom-ref']) }],
  };
}

/** What the workspace's lock file holds of the package at a path. */
type Integrity = (path: string) => string;

function componentOf(path: string, { name, version, integrity, license, bundled }: Component) {
  return {
    type: 'library',
    'bom-ref': path,
    ...named({ name, version }),
    licenses: licensed(license ?? 'NOASSERTION'),
    ...(integrity === undefined ? {} : { hashes: [hashOf(integrity)] }),
    properties: [{ name: 'postern:bundled', value: String(bundled) }],
  };
}

const named = ({ name, version }: { name: string; version: string }) => ({
  name,
  version,
  purl: `pkg:npm/${name.replace('@', '%40')}@${version}`,
});

/** An SPDX expression, as package manifests have them. */
const licensed = (expression: string) => [{ expression }];

/** npm's integrity is `sha512-` and base64; CycloneDX wants hexadecimal. */
const hashOf = (integrity: string) => ({
  alg: 'SHA-512',
  content: Buffer.from(integrity.replace(/^sha512-/, ''), 'base64').toString('hex'),
});

const nameIn = (path: string): string => path.slice(path.lastIndexOf('node_modules/') + 'node_modules/'.length);
