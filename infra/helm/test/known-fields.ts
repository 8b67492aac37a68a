import { join } from 'node:path';
import ts from 'typescript';
import { type KubernetesObject } from '../src/helm.ts';

/** Where the types of each API group are; the Kubernetes models follow the API's own OpenAPI document. */
const packages: Record<string, string> = {
  'cert-manager.io': '@kubernetes-models/cert-manager/cert-manager.io',
  'keda.sh': '@kubernetes-models/keda/keda.sh',
  'monitoring.coreos.com': '@kubernetes-models/prometheus-operator/monitoring.coreos.com',
};

/** The module that has an object's model: `apps/v1` -> `kubernetes-models/apps/v1`. */
export function modelModule({ apiVersion }: KubernetesObject): string {
  const [group = '', version] = apiVersion.split('/');
  return version === undefined
    ? `kubernetes-models/${group}`
    : `${packages[group] ?? `kubernetes-models/${group}`}/${version}`;
}

/** The models' own files, read and parsed once. */
const parsed = new Map<string, ts.SourceFile | undefined>();

/**
 * Fields that the API does not have. Its schemas let them pass, the types of the models do not: each object is typechecked as a
 * literal of its kind.
 */
export function unknownFields(objects: readonly KubernetesObject[]): string[] {
  const kinds = [...new Map(objects.map((object) => [`${object.apiVersion} ${object.kind}`, object])).values()];
  const name = ({ apiVersion, kind }: KubernetesObject) => `${kind}_${apiVersion.replaceAll(/\W/g, '_')}`;
  const source = [
    ...kinds.map((object) => `import type { I${object.kind} as ${name(object)} } from '${modelModule(object)}';`),
    ...objects.map((object, at) => `export const o${at}: ${name(object)} = ${JSON.stringify(object)};`),
  ].join('\n');
  const file = join(import.meta.dirname, 'rendered-objects.ts');
  const host = ts.createCompilerHost({});
  const read = host.getSourceFile.bind(host);
  host.getSourceFile = (path, ...rest) => {
    if (path === file) return ts.createSourceFile(path, source, rest[0]);
    if (!parsed.has(path)) parsed.set(path, read(path, ...rest));
    return parsed.get(path);
  };
  const exists = host.fileExists.bind(host);
  host.fileExists = (path) => path === file || exists(path);
  const program = ts.createProgram({
    rootNames: [file],
    options: { module: ts.ModuleKind.NodeNext, strict: true, noEmit: true, skipLibCheck: true, types: [] },
    host,
  });
  return ts.getPreEmitDiagnostics(program).map((found) => ts.flattenDiagnosticMessageText(found.messageText, '\n'));
}
