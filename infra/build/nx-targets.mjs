// Gives every workspace project its targets from one place: `nx.json` targetDefaults say what they run.
// `build` is for what leaves the repository: the service bundles and the published packages.
import { dirname } from 'node:path';

export const name = 'postern-targets';

const published = new Set(['libs/client', 'infra/cli']);

export const createNodesV2 = [
  '{apps,libs,infra}/*/package.json',
  (files) =>
    files.map((file) => {
      const root = dirname(file);
      const build = root.startsWith('apps/') || published.has(root) ? { build: {} } : {};
      return [file, { projects: { [root]: { targets: { typecheck: {}, lint: {}, test: {}, ...build } } } }];
    }),
];
