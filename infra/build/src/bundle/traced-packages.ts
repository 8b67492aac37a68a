import { createRequire } from 'node:module';
import { type Plugin } from 'esbuild';

/**
 * What tracing patches as it loads. Each is one file of the tree, since reading some two hundred files is a third of what
 * a start costs; where tracing is loaded, it maps `#traced/...` back to the installed package, whose files it knows.
 */
const packages = { pg: 'pg', '@redis/client': 'redis-client' } as const;

const PREFIX = '#traced/';

/** The traced packages as further entry points of a build. */
export const tracedEntryPoints = Object.fromEntries(
  Object.entries(packages).map(([name, file]) => [file, `${PREFIX}${name}`]),
);

/** `imports` of the tree's manifest (Node, Subpath imports). */
export const tracedImports = Object.fromEntries(
  Object.entries(packages).map(([name, file]) => [`${PREFIX}${name}`, `./${file}.js`]),
);

/** The package that an import of the built files means. */
export const untracedName = (path: string): string => (path.startsWith(PREFIX) ? path.slice(PREFIX.length) : path);

export const tracedPackages: Plugin = {
  name: 'traced-packages',
  setup(build) {
    const root = `${process.cwd()}/package.json`;
    const named = new RegExp(`^(${Object.keys(packages).join('|')})$`);
    build.onResolve({ filter: named }, ({ path, namespace }) =>
      namespace === 'traced' ? undefined : { path: `${PREFIX}${path}`, external: true },
    );
    build.onResolve({ filter: /^#traced\// }, ({ path }) => ({ path: untracedName(path), namespace: 'traced' }));
    // A CommonJS package has no names for ESM importers: they are asked of the package itself.
    build.onLoad({ filter: /.*/, namespace: 'traced' }, ({ path }) => {
      const names = Object.keys(createRequire(root)(path) as object).filter((name) => name !== 'default');
      return { contents: `const all = require('${path}'); ${namesOf('all', names)}`, resolveDir: process.cwd() };
    });
  },
};

/** Exports `from` as the default and each of its properties by name; a name may be a reserved word (`static`). */
export function namesOf(from: string, names: readonly string[]): string {
  const bound = names.map((name, at) => [name, `_${at}`] as const);
  return `export default ${from};
    const { ${bound.map(([name, as]) => `${name}: ${as}`).join(', ')} } = ${from};
    export { ${bound.map(([name, as]) => `${as} as ${name}`).join(', ')} };`;
}
