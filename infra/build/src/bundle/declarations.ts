import { mkdirSync, writeFileSync } from 'node:fs';
import { dirname, join, relative, resolve } from 'node:path';
import ts from 'typescript';

/**
 * Writes the declarations of the entry points and of every first-party file they reach under `<outdir>/types`, with
 * `@postern/*` imports turned into relative ones, so that the published package stands alone.
 *
 * The first entry's own folder becomes `types/`, a library reached from it `types/<library>/`.
 */
export function writeDeclarations(entries: readonly [string, ...string[]], outdir: string): void {
  const program = ts.createProgram(
    entries.map((entry) => resolve(entry)),
    {
      ...compilerOptions(),
      noEmit: false,
      declaration: true,
      emitDeclarationOnly: true,
      outDir: outdir,
    },
  );
  const home = dirname(resolve(entries[0]));
  const placed = (source: string) => join(outdir, 'types', placeOf(source, home));
  for (const file of program.getSourceFiles()) {
    if (file.isDeclarationFile || file.fileName.includes('/node_modules/')) continue;
    program.emit(file, (_name, text) => {
      const target = placed(file.fileName).replace(/\.ts$/, '.d.ts');
      mkdirSync(dirname(target), { recursive: true });
      writeFileSync(target, withRelativeImports(text, target, placed));
    });
  }
}

function compilerOptions(): ts.CompilerOptions {
  const { config } = ts.readConfigFile('tsconfig.base.json', (path) => ts.sys.readFile(path)) as {
    config: { compilerOptions: object };
  };
  // Through node_modules they would be somebody else's files, of which nothing is written.
  const wanted = { ...config.compilerOptions, paths: { '@postern/*': ['./libs/*/src/index.ts'] } };
  const { options, errors } = ts.convertCompilerOptionsFromJson(wanted, process.cwd());
  if (errors.length > 0) throw new Error('tsconfig.base.json cannot be read');
  return options;
}

/** `libs/client/src/records/store.ts` (the entry's own package) -> `records/store.ts`; `libs/x/src/y.ts` -> `x/y.ts`. */
function placeOf(source: string, home: string): string {
  const inside = relative(home, source);
  if (!inside.startsWith('..')) return inside;
  return relative(resolve('libs'), source).replace('/src/', '/');
}

function withRelativeImports(text: string, target: string, placed: (source: string) => string): string {
  return text.replaceAll(
    /(from |import\()(['"])([^'"]+)\2/g,
    (whole, head: string, quote: string, specifier: string) => {
      if (specifier.startsWith('.')) return `${head}${quote}${specifier.replace(/\.ts$/, '.js')}${quote}`;
      const library = /^@postern\/([^/]+)$/.exec(specifier)?.[1];
      if (!library) return whole;
      const path = relative(dirname(target), placed(resolve('libs', library, 'src/index.js')));
      return `${head}${quote}${path.startsWith('.') ? path : `./${path}`}${quote}`;
    },
  );
}
